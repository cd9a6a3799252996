package fanotify

import (
	"fmt"
	"strings"

	"garrison/sentry/linux"
	"garrison/sentry/usermem"
	"garrison/sentry/vfs"
)

// FDInfo implements vfs.FDInfoer: a line for the group, and one for each mark.
func (g *Group) FDInfo(c vfs.Ctx) string {
	var b strings.Builder
	fmt.Fprintf(&b, "fanotify flags:%x event-flags:%x\n", g.spec.Flags, uint32(g.spec.Events))
	for _, m := range g.shown() {
		what := m.shows
		switch o := m.on; o.kind() {
		case linux.FAN_MARK_MOUNT:
			fmt.Fprintf(&b, "fanotify mnt_id:%x %s\n", o.mnt.ID(), what)
		case linux.FAN_MARK_FILESYSTEM:
			fmt.Fprintf(&b, "fanotify sdev:%x %s\n", o.fs.Dev(), what)
		default:
			ino, err := vfs.InodeNumber(c, o.node)
			if err != nil {
				continue
			}
			fid := linux.NewFID(ino)
			handle := usermem.AsBytes(&fid)[8:]
			fmt.Fprintf(&b, "fanotify ino:%x sdev:%x %s fhandle-bytes:%x fhandle-type:%x f_handle:%x\n",
				ino, o.fs.Dev(), what, fid.Bytes, fid.Type, handle)
		}
	}
	return b.String()
}

// A shownMark is a mark and its masks as they were.
type shownMark struct {
	on    object
	shows string
}

func (g *Group) shown() (all []shownMark) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for o, m := range g.marks {
		all = append(all, shownMark{o, fmt.Sprintf("mflags:%x mask:%x ignored_mask:%x", m.flags, m.mask, m.ignore)})
	}
	return all
}
