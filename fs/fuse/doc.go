// Package fuse is FUSE, fuse(4): filesystems whose server is a process of the guest's.
// What is asked of a file becomes a request, which the server reads from /dev/fuse and
// answers by writing there (a device); a mount and its devices are one connection.
//
// Waiting. Elsewhere a file never waits, and an inode at most for the host; here both
// wait for another guest thread, for as long as that likes. So the waiting is done in one
// place (connection.call), by the task that asks, under the rules that follow.
//
//   - No lock of this package is held by who waits. Of vfs's own only those that are the
//     file's or the directory's are (ranks File, Rename and Dentry, of this mount), which
//     a server needs only if it uses its own mount, as on Linux. Answering takes a
//     connection's mu and an inode's, for moments, and no lock of vfs's: a server can
//     always answer. Writers of one file queue up in a turn, which can be left.
//   - Any signal ends the first part of the wait: the server is told (FUSE_INTERRUPT), and
//     the answer waited for. A kill ends that too, unlike on Linux, which waits for a
//     request that has been read: the request is abandoned. What a late answer brings, a
//     lookup to be forgotten, an open file to be released, is given back when it comes.
//   - Who ends does not wait: files that are closed by the end of a process are flushed
//     before what others ask later, but its server may be that process.
//   - The kernel itself (vfs.Internal) never waits: it is told what was known last.
//   - The last device of a connection that is closed, as by the death of its server, an
//     unmount, or umount2(2) with MNT_FORCE ends the connection: all who wait get
//     ECONNABORTED, and all who ask later ENOTCONN.
//
// Bounds. Each task has one request at a time, of at most maxIO bytes and some pages;
// what needs no answer is queued behind what does, fairly, so that a server which asks
// for more has to take it. Abandoned requests are remembered up to a limit, after which
// their answers are strangers (ENOENT). A reply is as long as was asked for, or its writer
// gets EINVAL and the caller EIO. Names and types in replies are checked.
//
// There is no page cache: each read(2) and write(2) is a request, as for FOPEN_DIRECT_IO,
// but for the end of the file, which attributes tell. So nothing is read ahead, and what
// the server changes shows at once. What is mapped is a copy, read from the server by
// mmap(2), and anew by a later one after the file was opened without FOPEN_KEEP_CACHE or
// its server said that it has changed; write(2) writes to it too. A page fault can't wait
// for a guest (mm.Mappable), nor tell which pages were written: shared mappings that can be
// written are therefore refused, ENODEV, as Linux does for FOPEN_DIRECT_IO.
package fuse
