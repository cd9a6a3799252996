package proc

import (
	"fmt"

	"garrison/fs/pseudo"
	"garrison/sentry/linux"
	"garrison/sentry/mm"
	"garrison/sentry/vfs"
)

// mapFilesNode is /proc/pid/map_files: a link for each mapped file, named by its
// addresses.
func mapFilesNode(p *process, _ vfs.Ctx, at pseudo.Place) vfs.Inode {
	return pseudo.NewDir(at, p, pseudo.DirSpec[*process]{
		Mode: 0o500, Subject: subject, Allow: sameProcess, More: mapFiles{p},
	})
}

type mapFiles struct{ p *process }

func regionName(r *mm.Region) string { return fmt.Sprintf("%x-%x", uint64(r.Start), uint64(r.End)) }

func (d mapFiles) find(name string) *mm.Region {
	all := d.p.regions(false)
	for i := range all {
		if all[i].File && regionName(&all[i]) == name {
			return &all[i]
		}
	}
	return nil
}

// Lookup implements pseudo.Dynamic.
func (d mapFiles) Lookup(_ vfs.Ctx, name string, at pseudo.Place) (vfs.Inode, error) {
	if d.find(name) == nil {
		return nil, linux.ENOENT
	}
	return pseudo.NewFile(at, d.p, subject, &entry{Mode: 0o600, Link: func(*process, vfs.Ctx) (string, error) {
		if r := d.find(name); r != nil {
			return r.Name, nil
		}
		return "", linux.ENOENT
	}}), nil
}

// Valid implements pseudo.Dynamic.
func (d mapFiles) Valid(_ vfs.Ctx, name string, i vfs.Inode) bool {
	return (d.find(name) != nil) == (i != nil)
}

// Each implements pseudo.Dynamic: the key is the page's number.
func (d mapFiles) Each(_ vfs.Ctx, key int64, f func(int64, string, linux.FileMode) bool) error {
	for _, r := range d.p.regions(false) {
		if n := int64(r.Start >> 12); r.File && n >= key && !f(n, regionName(&r), linux.S_IFLNK) {
			return nil
		}
	}
	return nil
}

// Links implements pseudo.Dynamic.
func (mapFiles) Links() int { return 0 }
