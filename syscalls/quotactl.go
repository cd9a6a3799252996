package syscalls

import (
	"slices"

	"garrison/platform/arch"
	"garrison/sentry/auth"
	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// What quotactl(2) packs into its command.
const (
	usrQuota   = 0
	grpQuota   = 1
	quotaTypes = 3 // the third: project
	qSync      = 0x800001
	qXGetStatV = 'X'<<8 + 8

	quotaStatVersion = 1 // of what Q_XGETQSTATV is given
)

// quotactl implements quotactl(2). No filesystem here is on a block device: what can be
// asked is whether all are in step.
func quotactl(t *kernel.Task, cmd uint32, special pathname, _ uint32, _ address) (int, error) {
	op, kind := cmd>>8, cmd&0xff
	if kind >= quotaTypes {
		return 0, linux.EINVAL
	}
	if special == 0 {
		if op == qSync {
			return 0, nil
		}
		return 0, linux.ENODEV
	}
	return withPath(t, linux.AT_FDCWD, special, 0, func(p vfs.Path) error {
		if p.Type() != linux.S_IFBLK {
			return linux.ENOTBLK
		}
		if p.Mount().Flags()&linux.MS_NODEV != 0 {
			return linux.EACCES
		}
		return linux.ENODEV
	})
}

// quotactlFD implements quotactl_fd(2).
func quotactlFD(t *kernel.Task, fd kernel.FD, cmd, id uint32, addr address) (int, error) {
	d, err := t.FDs().GetPath(fd)
	if err != nil {
		return 0, err
	}
	defer d.Release(t)
	kind, op, known := cmd&0xff, quotaOp{may: quotaAdmin, err: linux.EINVAL}, false
	if kind >= quotaTypes {
		return 0, linux.EINVAL
	}
	if o, ok := quotaOps[cmd>>8]; ok {
		op, known = o, true
	}
	mnt := d.Path().Mount()
	if (!known || op.writes) && mnt.ReadOnly() {
		return 0, linux.EROFS
	}
	st, err := d.Path().Filesystem().Statfs(t, mnt)
	if err != nil {
		return 0, err
	}
	if st.Type != linux.EXT4_SUPER_MAGIC {
		return 0, linux.ENOSYS
	}
	return 0, op.on(t, kind, id, addr.Addr())
}

// Who may do a quotaOp.
const (
	quotaAdmin = iota
	quotaOwner // also who is, or is in, what is asked about
	quotaAny
)

// A quotaOp is an operation on a filesystem that has quotas, none of which are on: what
// the host's ext4 is taken to be.
type quotaOp struct {
	may    int
	writes bool // by its number: Q_GETQUOTA does, and Q_XGETQUOTA doesn't
	in     int  // bytes that are read before anything is looked at
	named  bool // about a user, group or project
	err    error
}

var quotaOps = map[uint32]quotaOp{
	qSync:      {may: quotaAny},
	0x800002:   {writes: true, err: linux.EINVAL},                              // Q_QUOTAON, which needs a file
	0x800003:   {writes: true},                                                 // Q_QUOTAOFF
	0x800004:   {may: quotaAny, err: linux.ESRCH},                              // Q_GETFMT
	0x800005:   {may: quotaAny, err: linux.ESRCH},                              // Q_GETINFO
	0x800006:   {writes: true, in: 24, err: linux.ESRCH},                       // Q_SETINFO
	0x800007:   {writes: true, may: quotaOwner, named: true, err: linux.ESRCH}, // Q_GETQUOTA
	0x800008:   {writes: true, in: 72, named: true, err: linux.ESRCH},          // Q_SETQUOTA
	0x800009:   {writes: true, named: true, err: linux.ESRCH},                  // Q_GETNEXTQUOTA
	'X'<<8 + 1: {writes: true, in: 4, err: linux.ENOSYS},                       // Q_XQUOTAON
	'X'<<8 + 2: {writes: true, in: 4, err: linux.ENOSYS},                       // Q_XQUOTAOFF
	'X'<<8 + 3: {may: quotaOwner, named: true, err: linux.ESRCH},               // Q_XGETQUOTA
	'X'<<8 + 4: {writes: true, in: 112, named: true, err: linux.ESRCH},         // Q_XSETQLIM
	'X'<<8 + 5: {may: quotaAny, err: linux.ENOSYS},                             // Q_XGETQSTAT
	'X'<<8 + 6: {writes: true, in: 4, err: linux.ENOSYS},                       // Q_XQUOTARM
	'X'<<8 + 7: {may: quotaAny},                                                // Q_XQUOTASYNC
	qXGetStatV: {may: quotaAny, in: 1, err: linux.ENOSYS},
	'X'<<8 + 9: {named: true, err: linux.ESRCH}, // Q_XGETNEXTQUOTA
}

// on does op, for kind's id where it is about one, with what is at addr.
func (op *quotaOp) on(t *kernel.Task, kind, id uint32, addr arch.Addr) error {
	c := t.Creds()
	known, own := true, false // project ids are mapped to themselves, and nobody's
	switch k := id; kind {
	case usrQuota:
		k, known = c.UserNS.MakeUID(id)
		own = known && k == c.EUID
	case grpQuota:
		k, known = c.UserNS.MakeGID(id)
		own = known && (k == c.EGID || slices.Contains(c.Groups, k))
	}
	if op.may == quotaAdmin || op.may == quotaOwner && !own {
		if !c.Capable(auth.CapSysAdmin) {
			return linux.EPERM
		}
	}
	in := make([]byte, op.in)
	if _, err := t.CopyIn(in, addr); err != nil {
		return err
	}
	if op.named && (!known || id == keepID) || op.in == 1 && in[0] != quotaStatVersion {
		return linux.EINVAL
	}
	return op.err
}
