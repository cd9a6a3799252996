package proc

import (
	"bytes"
	"fmt"

	"garrison/sentry/vfs"
)

// showPartitions is the block devices that are bound to something, in KiB.
func showPartitions(fs *FS, c vfs.Ctx, w *bytes.Buffer) error {
	w.WriteString("major minor  #blocks  name\n\n")
	for _, d := range fs.sys.Disks(c) {
		if d.Sectors != 0 {
			fmt.Fprintf(w, "%4d  %7d %10d %s\n", d.Major, d.Minor, d.Sectors>>1, d.Name)
		}
	}
	return nil
}

// showDiskStats is what was read and written of all block devices. No time is kept.
func showDiskStats(fs *FS, c vfs.Ctx, w *bytes.Buffer) error {
	for _, d := range fs.sys.Disks(c) {
		fmt.Fprintf(w, "%4d %7d %s %d 0 %d 0 %d 0 %d 0 0 0 0 0 0 0 0 0 0\n",
			d.Major, d.Minor, d.Name, d.Reads.Calls, d.Reads.Sectors, d.Writes.Calls, d.Writes.Sectors)
	}
	return nil
}
