// mseal(2), remap_file_pages(2), process_madvise(2).
// covers: mseal remap_file_pages process_madvise
#include "check.h"
#include <sys/mman.h>
#include <sys/uio.h>

#ifndef SYS_mseal
#define SYS_mseal 462
#endif
#define P 4096UL
#define RW (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

static void seals(void) {
	char *p = mmap(0, 8 * P, RW, ANON, -1, 0);
	if (absent("mseal", syscall(SYS_mseal, p, 0, 0)))
		return; // a kernel older than 6.10
	FAILS(syscall(SYS_mseal, p + 1, P, 0), EINVAL);
	FAILS(syscall(SYS_mseal, p, P, 1), EINVAL);
	CHECK(munmap(p + 7 * P, P) == 0);
	FAILS(syscall(SYS_mseal, p, 8 * P, 0), ENOMEM);
	CHECK(syscall(SYS_mseal, p + 2 * P, 2 * P, 0) == 0);
	FAILS(munmap(p, 7 * P), EPERM);
	FAILS(mprotect(p + 2 * P, P, PROT_READ), EPERM);
	FAILS(mremap(p + 2 * P, P, 2 * P, MREMAP_MAYMOVE), EPERM);
	FAILS(mmap(p + 3 * P, P, RW, ANON | MAP_FIXED, -1, 0), EPERM);
	CHECK(mprotect(p, P, PROT_READ) == 0 && madvise(p + 2 * P, P, MADV_DONTNEED) == 0);
	p[2 * P] = 1;
}

static void pages(void) {
	char *a = mmap(0, 8 * P, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (int i = 0; i < 8; i++)
		a[i * P] = i;
	FAILS(remap_file_pages(a, P, PROT_READ, 0, 0), EINVAL);
	FAILS(remap_file_pages(a, 0, 0, 0, 0), EINVAL);
	CHECK(remap_file_pages(a, 2 * P, 0, 6, 0) == 0);
	CHECK(a[0] == 6 && a[P] == 7 && a[2 * P] == 2);
	a[0] = 66;
	CHECK(a[6 * P] == 66);
	char *p = mmap(0, P, RW, ANON, -1, 0);
	FAILS(remap_file_pages(p, P, 0, 0, 0), EINVAL);
}

static void advice(void) {
	char *p = mmap(0, 4 * P, RW, ANON, -1, 0);
	int fd = syscall(SYS_pidfd_open, getpid(), 0);
	struct iovec v[2] = {{p, P}, {p + 2 * P, 2 * P}};
	CHECK(fd >= 0);
	CHECK(syscall(SYS_process_madvise, fd, v, 2, MADV_COLD, 0) == 3 * P);
	FAILS(syscall(SYS_process_madvise, fd, v, 2, MADV_COLD, 1), EINVAL);
	FAILS(syscall(SYS_process_madvise, 999, v, 2, MADV_COLD, 0), EBADF);
	v[0].iov_base = p + 1;
	FAILS(syscall(SYS_process_madvise, fd, v, 1, MADV_COLD, 0), EINVAL);
}

int main(void) {
	CASE(seals());
	CASE(pages());
	CASE(advice());
	return 0;
}
