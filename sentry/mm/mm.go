// Package mm is a guest's virtual memory: what mmap(2) and its family change,
// what page faults fill in, and how the kernel itself reads and writes it.
//
// A Space keeps two ordered maps. The mappings (vmas) are what the guest asked
// for, and what /proc/pid/maps shows. The runs mirror what the host has mapped
// for the guest: which file, which offset, which access. Mapping is eager and
// backing lazy: mmap of anonymous memory queues one platform.Map for the whole
// range, and no page fault reaches the sentry afterwards but for copy-on-write,
// stack growth, truncated files and errors.
package mm
