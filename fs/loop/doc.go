// Package loop is loop devices, loop(4): block devices whose blocks are those of a file of
// the guest's, made by way of /dev/loop-control and bound by ioctl(2).
//
// There is no page cache: what is read and written is read and written there and then in
// the file, by who asks, with his rights to wait and to be killed. So what one side writes
// the other sees, and fsync(2) is the file's. A filesystem of the guest's own (fs/fuse) may
// lie below.
//
// As who reads a device reads the file below it in the same breath, what lies on what must
// have no circle. Filesystems lie on what was there before them; a binding is the only
// thing that changes later, so each is looked through before it is made, one at a time
// (Set.bind, search). Up to maxDevices devices, with what vfs lets lie between two of
// them, bound how deep it goes.
//
// A device stays bound while somebody has it open, as mounts do: LOOP_CLR_FD then takes
// effect with the last close. Partitions are not shown: who asks for them of a file that
// has a partition table gets EINVAL, and the others what they would get on Linux, none.
//
// Devices are the kernel's, for all its containers, as on Linux. Who may open one is up to
// Config.Allowed, the rules of the container's configuration.
package loop
