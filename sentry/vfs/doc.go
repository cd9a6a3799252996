// Package vfs is the virtual filesystem: it walks paths, caches names, checks
// permissions, keeps the tree of mounts, and holds open files with their offsets,
// locks and watches. A filesystem is a Type that makes a root Inode; an Inode has
// three methods and says what else it can do by having more of them (inode.go), as
// an open File does (file.go). Filesystems never block and never check
// permissions: vfs does both, once, for all of them.
//
// References. A Path that a function of this package returns is held: give it back
// with Path.Drop. A *FileDescription likewise: Release. What a function takes as an
// argument stays the caller's, unless its comment says otherwise.
package vfs
