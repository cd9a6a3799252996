package proc

import (
	"fmt"

	"garrison/sentry/kernel"
	"garrison/sentry/linux"
	"garrison/sentry/vfs"
)

// hiding is the hidepid option.
type hiding int

const (
	hideNothing   hiding = 0
	hideContent   hiding = 1 // the directories of others are shown but closed
	hideNames     hiding = 2 // they are not shown
	hideUntraced  hiding = 4 // not shown but to those who may trace them
	hidingUnknown hiding = -1
)

// options are a mount's.
type options struct {
	hide    hiding
	gid     uint32 // a group that sees all
	pidOnly bool   // subset=pid
}

// checkOption is vfs.Type's Check.
func checkOption(x vfs.Option) error {
	o := vfs.Options{x}
	if o.Only("hidepid", "gid", "subset") != nil {
		return vfs.ErrNoParam
	}
	_, err := parseOptions(o)
	return err
}

func parseOptions(o vfs.Options) (out options, err error) {
	if err := o.Only("hidepid", "gid", "subset"); err != nil {
		return out, err
	}
	if v, ok := o.Get("hidepid"); ok {
		if out.hide = parseHiding(v); out.hide == hidingUnknown {
			return out, linux.EINVAL
		}
	}
	gid, err := o.Uint("gid", 10, 0)
	if err != nil {
		return out, err
	}
	out.gid = uint32(gid)
	if v, ok := o.Get("subset"); ok {
		if v != "pid" {
			return out, linux.EINVAL
		}
		out.pidOnly = true
	}
	return out, nil
}

func parseHiding(v string) hiding {
	switch v {
	case "0", "off":
		return hideNothing
	case "1", "noaccess":
		return hideContent
	case "2", "invisible":
		return hideNames
	case "4", "ptraceable":
		return hideUntraced
	}
	return hidingUnknown
}

// show is what /proc/mounts has.
func (o *options) show() (s string) {
	add := func(x string) {
		if s != "" {
			s += ","
		}
		s += x
	}
	if o.gid != 0 {
		add(fmt.Sprintf("gid=%d", o.gid))
	}
	switch o.hide {
	case hideContent:
		add("hidepid=noaccess")
	case hideNames:
		add("hidepid=invisible")
	case hideUntraced:
		add("hidepid=ptraceable")
	}
	if o.pidOnly {
		add("subset=pid")
	}
	return s
}

// sees reports whether c may know of g at a level of hiding.
func (fs *FS) sees(c vfs.Ctx, g *kernel.ThreadGroup, from hiding) bool {
	if fs.hide < from || fs.hide == hideNothing {
		return true
	}
	t := caller(c)
	if t == nil {
		return true
	}
	if fs.hide != hideUntraced && c.Creds().InGroup(fs.gid) {
		return true
	}
	return mayAccess(t, g.Leader()) == nil
}
