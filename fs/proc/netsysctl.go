package proc

import (
	"bytes"
	"slices"
	"strings"
	"sync"

	"garrison/fs/pseudo"
	"garrison/sentry/auth"
	"garrison/sentry/linux"
	"garrison/sentry/socket"
	"garrison/sentry/vfs"
)

// netParams is net in /proc/sys: the parameters of the network of whoever looks.
type netParams struct{}

const netParamsName = "net"

func networkOf(c vfs.Ctx) *socket.Network {
	if t := caller(c); t != nil && t.Namespaces().Net != nil {
		n, _ := t.Namespaces().Net.Network.(*socket.Network)
		return n
	}
	return nil
}

// Lookup implements pseudo.Dynamic.
func (netParams) Lookup(c vfs.Ctx, name string, at pseudo.Place) (vfs.Inode, error) {
	n := networkOf(c)
	if name != netParamsName || n == nil {
		return nil, linux.ENOENT
	}
	return pseudo.NewDir(at, n, pseudo.DirSpec[*socket.Network]{Table: sysctlTable()}), nil
}

// Valid implements pseudo.Dynamic.
func (netParams) Valid(c vfs.Ctx, name string, i vfs.Inode) bool {
	n := networkOf(c)
	if name != netParamsName || n == nil {
		return i == nil
	}
	x, ok := i.(interface{ Subject() *socket.Network })
	return ok && x.Subject() == n
}

// Each implements pseudo.Dynamic.
func (netParams) Each(c vfs.Ctx, key int64, f func(int64, string, linux.FileMode) bool) error {
	if key == 0 && networkOf(c) != nil {
		f(0, netParamsName, linux.S_IFDIR)
	}
	return nil
}

// Links implements pseudo.Dynamic.
func (netParams) Links() int { return 1 }

// sysctlTable is the tree below net.
var sysctlTable = sync.OnceValue(func() (root []netEntry) {
	for i := range socket.Sysctls {
		x := &socket.Sysctls[i]
		root = placeNet(root, strings.Split(x.Name, "/"), sysctlEntry(x.Name, x))
	}
	for _, family := range []string{"ipv4", "ipv6"} {
		root = placeNet(root, []string{family, "conf"}, netEntry{Node: func(n *socket.Network, _ vfs.Ctx, at pseudo.Place) vfs.Inode {
			return pseudo.NewDir(at, n, pseudo.DirSpec[*socket.Network]{
				Table: []netEntry{
					{Name: "all", Table: linkSysctlTable(family, "all")},
					{Name: "default", Table: linkSysctlTable(family, "default")},
				},
				More: linkParams{n, family},
			})
		}})
		root = placeNet(root, []string{family, "route", "flush"}, netEntry{Mode: 0o200, Allow: allowNet, Store: func(*socket.Network, vfs.Ctx, []byte) error {
			return nil // no routes are kept beside the table
		}})
	}
	return root
})

// placeNet puts e at path below dir.
func placeNet(dir []netEntry, path []string, e netEntry) []netEntry {
	if e.Name = path[0]; len(path) == 1 {
		return append(dir, e)
	}
	i := slices.IndexFunc(dir, func(x netEntry) bool { return x.Name == path[0] })
	if i < 0 {
		i, dir = len(dir), append(dir, netEntry{Name: path[0]})
	}
	dir[i].Table = placeNet(dir[i].Table, path[1:], e)
	return dir
}

// sysctlEntry is the file of the parameter name, which is one of x's kind.
func sysctlEntry(name string, x *socket.Sysctl) netEntry {
	e := netEntry{Allow: allowNet, Show: func(n *socket.Network, _ vfs.Ctx, w *bytes.Buffer) error {
		text, err := n.Sysctl(name)
		w.WriteString(text + "\n")
		return err
	}}
	if !x.Fixed {
		e.Store = func(n *socket.Network, _ vfs.Ctx, data []byte) error { return n.SetSysctl(name, string(data)) }
	}
	return e
}

// linkSysctlTable is the directory of a link.
func linkSysctlTable(family, link string) (out []netEntry) {
	for i := range socket.LinkSysctls {
		x := &socket.LinkSysctls[i]
		if name, ok := strings.CutPrefix(x.Name, family+"/"); ok {
			e := sysctlEntry(family+"/conf/"+link+"/"+name, x)
			e.Name = name
			out = append(out, e)
		}
	}
	return out
}

// linkParams is the links in net/ipv4/conf and net/ipv6/conf, by their indices.
type linkParams struct {
	n      *socket.Network
	family string
}

func (d linkParams) has(name string) bool {
	return slices.ContainsFunc(d.n.Interfaces().Links(), func(l socket.Link) bool { return l.Name == name })
}

// Lookup implements pseudo.Dynamic.
func (d linkParams) Lookup(_ vfs.Ctx, name string, at pseudo.Place) (vfs.Inode, error) {
	if !d.has(name) {
		return nil, linux.ENOENT
	}
	return pseudo.NewDir(at, d.n, pseudo.DirSpec[*socket.Network]{Table: linkSysctlTable(d.family, name)}), nil
}

// Valid implements pseudo.Dynamic.
func (d linkParams) Valid(_ vfs.Ctx, name string, i vfs.Inode) bool { return d.has(name) == (i != nil) }

// Each implements pseudo.Dynamic.
func (d linkParams) Each(_ vfs.Ctx, key int64, f func(int64, string, linux.FileMode) bool) error {
	for _, l := range d.n.Interfaces().Links() {
		if int64(l.Index) >= key && !f(int64(l.Index), l.Name, linux.S_IFDIR) {
			break
		}
	}
	return nil
}

// Links implements pseudo.Dynamic.
func (d linkParams) Links() int { return len(d.n.Interfaces().Links()) }

// allowNet is allowRoot for a network's parameters, of which its administrator is root.
func allowNet(n *socket.Network, c vfs.Ctx, a vfs.Attr, want vfs.Access) error {
	if n.Capable(c, auth.CapNetAdmin) && want&^vfs.Access(a.Mode>>6) == 0 {
		return nil
	}
	return allowRoot(nil, c, a, want)
}
