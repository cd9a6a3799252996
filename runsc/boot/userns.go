package boot

import (
	"errors"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"garrison/runsc/control"
	"garrison/runsc/spec"
	"garrison/sentry/auth"
)

// newUserNS is the container's user namespace: the first one of the sandbox, unless
// the configuration asks for one with maps. The ids outside are those of the first
// one, as of which the gofer makes the host's files.
func (ct *container) newUserNS() (*auth.UserNamespace, error) {
	first := ct.kernel.RootUserNS()
	if spec.Namespace(ct.doc.Spec, specs.UserNamespace) == nil {
		return first, nil
	}
	ns, err := auth.NewUserNamespace(auth.Root(first), ct.kernel.NewInode())
	if err != nil {
		return nil, err
	}
	l := ct.doc.Spec.Linux
	if !ns.SetMap(auth.UIDMap, extents(l.UIDMappings)) || !ns.SetMap(auth.GIDMap, extents(l.GIDMappings)) {
		return nil, errors.New("linux.uidMappings or gidMappings have ids that there are not")
	}
	return ns, nil
}

func extents(mappings []specs.LinuxIDMapping) (out []auth.Extent) {
	for _, m := range mappings {
		out = append(out, auth.Extent{First: m.ContainerID, Lower: m.HostID, Count: m.Size})
	}
	return out
}

// mapUser is u, of a process of the container, in the ids of the first user namespace.
func (ct *container) mapUser(u specs.User) (specs.User, error) {
	var ok bool
	if u.UID, ok = ct.userNS.MakeUID(u.UID); !ok {
		return u, unmapped("uid", "user")
	}
	if u.GID, ok = ct.userNS.MakeGID(u.GID); !ok {
		return u, unmapped("gid", "group")
	}
	u.AdditionalGids = slices.Clone(u.AdditionalGids)
	for i, g := range u.AdditionalGids {
		if u.AdditionalGids[i], ok = ct.userNS.MakeGID(g); !ok {
			return u, unmapped("additional gid", "group")
		}
	}
	slices.Sort(u.AdditionalGids) // as setgroups(2) has them; engines give them in any order
	return u, nil
}

// unmapped is worded as runc does.
func unmapped(id, kind string) error {
	return &control.Problem{Message: "unable to start container process: unable to setup user: cannot set " + id + " to unmapped " + kind + " in user namespace"}
}
