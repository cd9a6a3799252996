// Package boot is the sentry's side of runsc: it turns a boot document and
// a handful of descriptors into a kernel with a container in it, gives up every
// right it started with, and then answers requests until the container has ended.
// It is where the kernel, the filesystems, the system calls and a platform
// meet; none of them knows the others' choice.
package boot
