// Calls the memory system calls with arguments good and bad and prints what
// comes of it; run natively first.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define P 4096UL
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define RW (PROT_READ | PROT_WRITE)

static const char *result(long r) {
	static char b[8][32];
	static int i;
	char *s = b[i++ % 8];
	if (r == -1)
		return strerrorname_np(errno);
	if (r > 4096)
		return "address";
	sprintf(s, "%ld", r);
	return s;
}

#define T(call) (errno = 0, printf("%s = %s\n", #call, result((long)(call))))

static void *at; // the arena: 64 pages, everything below happens here
static char *p;

static void fresh(void) {
	at = mmap((void *)0x500000000, 64 * P, PROT_NONE, ANON | MAP_FIXED | MAP_NORESERVE, -1, 0);
	munmap(at, 64 * P);
	p = mmap(at, 16 * P, RW, ANON | MAP_FIXED, -1, 0);
}

static void maps(int fd) {
	T(mmap(0, 0, RW, ANON, -1, 0));
	T(mmap(0, -1UL, RW, ANON, -1, 0));
	T(mmap(0, -P, RW, ANON, -1, 0));
	T(mmap(0, 1UL << 46, RW, ANON, -1, 0));
	T(mmap(0, 1UL << 47, PROT_NONE, ANON | MAP_NORESERVE, -1, 0));
	T(mmap(0, 1UL << 45, PROT_NONE, ANON | MAP_NORESERVE, -1, 0));
	T(mmap(0, P, RW, MAP_ANONYMOUS, -1, 0));
	T(mmap(0, P, RW, MAP_ANONYMOUS | 3, -1, 0));
	T(mmap(0, P, RW, MAP_ANONYMOUS | MAP_SHARED | MAP_GROWSDOWN, -1, 0));
	T(mmap((void *)1, P, RW, ANON | MAP_FIXED, -1, 0));
	T(mmap((void *)-P, P, RW, ANON | MAP_FIXED, -1, 0));
	T(mmap((void *)0x7ffffffff000, P, RW, ANON | MAP_FIXED, -1, 0));
	T(mmap(p, P, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0));
	T(mmap(p + 16 * P, P, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0) == p + 16 * P);
	T(mmap(p + 20 * P + 1, P, RW, ANON, -1, 0) == p + 20 * P);
	T(mmap(p, P, RW, ANON, -1, 0) == p);
	T(mmap(0, P, RW, MAP_SHARED, fd, 0));
	T(mmap(0, P, PROT_READ, MAP_SHARED, fd, 0));
	T(mmap(0, P, RW, MAP_PRIVATE, fd, 0));
	T(mmap(0, P, RW, MAP_PRIVATE, fd, 1));
	T(mmap(0, P, RW, MAP_PRIVATE, fd, -P));
	T(mmap(0, P, RW, 0, fd, 0));
	T(mmap(0, P, PROT_READ, MAP_SHARED_VALIDATE, fd, 0));
	T(mmap(0, P, PROT_READ, MAP_SHARED_VALIDATE | MAP_SYNC, fd, 0));
	T(mmap(0, P, PROT_READ, MAP_SHARED_VALIDATE | (1 << 25), fd, 0));
	T(mmap(0, P, PROT_READ, MAP_PRIVATE | MAP_GROWSDOWN, fd, 0));
	T(mmap(0, P, RW, ANON | MAP_32BIT, -1, 0) != MAP_FAILED);
	T(mmap(0, P, RW, MAP_PRIVATE | MAP_HUGETLB, fd, 0));
	T(mmap(0, P, RW, ANON | MAP_HUGETLB | (3 << 26), -1, 0));
}

static void unmaps(void) {
	T(munmap(p + 1, P));
	T(munmap(p, 0));
	T(munmap(p, -1UL));
	T(munmap(p + 40 * P, P));
	T(munmap(p, 1));
	T(munmap((void *)0x7ffffffff000, P));
	T(munmap((void *)-P, P));
	fresh();
}

static void protects(int fd) {
	T(mprotect(p + 1, P, RW));
	T(mprotect(p, 0, RW));
	T(mprotect(p + 1, 0, RW));
	T(mprotect(p, -1UL, RW));
	T(mprotect(p, -P, RW));
	T(mprotect(p + 40 * P, P, RW));
	T(mprotect(p + 15 * P, 2 * P, PROT_READ));
	T(mprotect(p, P, 0x10));
	T(mprotect(p, P, RW | PROT_GROWSDOWN));
	T(mprotect(p, P, RW | PROT_GROWSDOWN | PROT_GROWSUP));
	T(mprotect(p, P, RW | PROT_GROWSUP));
	T(mprotect(p, P, RW | 8));
	char *s = mmap(p + 20 * P, 4 * P, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0);
	T(mprotect(s, P, RW));
	T(mprotect(s, P, PROT_READ | PROT_EXEC));
	char *q = mmap(p + 20 * P, 4 * P, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0);
	T(mprotect(q, P, RW));
	q[0] = 1;
	fresh();
}

static void remaps(int fd) {
	T(mremap(p + 1, P, P, 0));
	T(mremap(p, P, 0, 0));
	T(mremap(p, P, P, 8));
	T(mremap(p, P, P, MREMAP_FIXED, p + 20 * P));
	T(mremap(p, P, 2 * P, MREMAP_DONTUNMAP | MREMAP_MAYMOVE, 0));
	T(mremap(p, P, P, MREMAP_DONTUNMAP, 0));
	T(mremap(p + 40 * P, P, P, 0));
	T(mremap(p, 17 * P, 18 * P, MREMAP_MAYMOVE));
	T(mremap(p, 17 * P, 17 * P, 0));
	T(mremap(p, 0, P, MREMAP_MAYMOVE));
	T(mremap(p, 4 * P, 8 * P, 0));
	T(mremap(p + 12 * P, 4 * P, 8 * P, 0) == p + 12 * P);
	T(mremap(p, 20 * P, 10 * P, 0) == p);
	T(mremap(p, 10 * P, 10 * P, MREMAP_MAYMOVE | MREMAP_FIXED, p + 5 * P));
	T(mremap(p, 10 * P, 10 * P, MREMAP_MAYMOVE | MREMAP_FIXED, p + 20 * P + 1));
	T(mremap(p, 10 * P, 10 * P, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)-P));
	T(mremap(p, 10 * P, 5 * P, MREMAP_MAYMOVE | MREMAP_FIXED, p + 20 * P) == p + 20 * P);
	T(mremap(p + 20 * P, 5 * P, 1UL << 46, MREMAP_MAYMOVE));
	T(mremap(p + 20 * P, 5 * P, -P, MREMAP_MAYMOVE));
	char *s = mmap(p + 40 * P, 2 * P, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0);
	T(mremap(s, 0, 2 * P, MREMAP_MAYMOVE) != MAP_FAILED);
	T(mremap(s, 0, 2 * P, 0));
	T(mremap(s, 2 * P, 2 * P, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, 0) != MAP_FAILED);
	fresh();
	memset(p, 7, 4 * P);
	char *m = mremap(p, 4 * P, 4 * P, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, 0);
	printf("moved %d, left %d\n", m[P], p[P]);
	fresh();
}

static void advises(int fd) {
	static const int all[] = {0, 1, 2, 3, 4, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 77, -1};
	char *f = mmap(p + 20 * P, 2 * P, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0);
	char *s = mmap(p + 24 * P, 2 * P, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	char *n = mmap(p + 28 * P, 2 * P, PROT_NONE, ANON | MAP_FIXED, -1, 0);
	for (unsigned i = 0; i < sizeof all / sizeof *all; i++) {
		errno = 0;
		printf("madvise %d: %s", all[i], result(madvise(p, P, all[i])));
		printf(" %s", result(madvise(f, P, all[i])));
		printf(" %s", result(madvise(s, P, all[i])));
		printf(" %s", result(madvise(n, P, all[i])));
		printf(" %s", result(madvise(p + 15 * P, 2 * P, all[i])));
		printf(" %s", result(madvise(p + 1, P, all[i])));
		printf(" %s", result(madvise(p, 0, all[i])));
		printf(" %s\n", result(madvise(p, -1UL, all[i])));
	}
	memset(s, 5, 2 * P);
	T(madvise(s, P, MADV_REMOVE));
	printf("removed %d, kept %d\n", s[0], s[P]);
	T(mlock(p, P));
	T(madvise(p, P, MADV_DONTNEED));
	T(madvise(p, P, MADV_COLD));
	T(madvise(p, P, MADV_FREE));
	T(madvise(p, P, 24));
	T(munlock(p, P));
	fresh();
}

static void rest(void) {
	unsigned char v[64];
	T(msync(p, P, MS_SYNC | MS_ASYNC));
	T(msync(p, P, 8));
	T(msync(p + 1, P, MS_SYNC));
	T(msync(p, 0, MS_SYNC));
	T(msync(p, P, 0));
	T(msync(p, 16 * P, MS_SYNC));
	T(msync(p, 17 * P, MS_SYNC));
	T(msync(p, -1UL, MS_SYNC));
	T(mincore(p + 1, P, v));
	T(mincore(p, 17 * P, v));
	T(mincore(p, 0, v));
	T(mincore(p, -1UL, v));
	memset(p + 2 * P, 1, 2 * P);
	T(mincore(p, 5 * P, v));
	printf("incore %d %d %d %d %d\n", v[0] & 1, v[1] & 1, v[2] & 1, v[3] & 1, v[4] & 1);
	T(mlock(p + 100, 50));
	T(mlock(p, 17 * P));
	T(mlock(p, 0));
	T(mlock(p, -1UL));
	T(mlock2(p, P, 1));
	T(mlock2(p, P, 2));
	T(munlock(p, 17 * P));
	T(munlock(p, 16 * P));
	T(mlockall(0));
	T(mlockall(4));
	T(mlockall(8));
	T(mlockall(MCL_FUTURE));
	T(munlockall());
	T((char *)syscall(SYS_brk, 0) == (char *)sbrk(0));
	T((char *)syscall(SYS_brk, 1) == (char *)sbrk(0));
	T((char *)syscall(SYS_brk, -1) == (char *)sbrk(0));
	T(sbrk(1 << 20) != (void *)-1);
	T(sbrk(-(1 << 20)) != (void *)-1);
	T(mmap(sbrk(0) + 0x10000, P, RW, ANON, -1, 0) != MAP_FAILED);
}

static void seals(void) {
	T(syscall(462, p + 1, P, 0));
	T(syscall(462, p, P, 1));
	T(syscall(462, p, 0, 0));
	T(syscall(462, p, 17 * P, 0));
	T(syscall(462, p, -1UL, 0));
	T(syscall(462, p + 4 * P, 4 * P, 0));
	T(munmap(p, 16 * P));
	T(munmap(p + 7 * P, 2 * P));
	T(mprotect(p + 4 * P, P, PROT_READ));
	T(mprotect(p, P, PROT_READ));
	T(mremap(p + 4 * P, 4 * P, 2 * P, 0));
	T(mremap(p, P, P, MREMAP_MAYMOVE | MREMAP_FIXED, p + 5 * P));
	T(mmap(p + 5 * P, P, RW, ANON | MAP_FIXED, -1, 0));
	T(madvise(p + 5 * P, P, MADV_DONTNEED));
	T(mprotect(p + 8 * P, P, PROT_READ));
	T(syscall(462, p + 8 * P, P, 0));
	T(madvise(p + 8 * P, P, MADV_DONTNEED));
	T(madvise(p + 8 * P, P, MADV_RANDOM));
}

static void pages(int fd) {
	char *s = mmap(p + 20 * P, 8 * P, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0);
	char *a = mmap(p + 30 * P, 8 * P, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	for (int i = 0; i < 8; i++)
		a[i * P] = i;
	T(remap_file_pages(p, P, 0, 0, 0));
	T(remap_file_pages(s, 0, 0, 0, 0));
	T(remap_file_pages(s, P, 0, -1UL, 0));
	T(remap_file_pages(s, 2 * P, 0, 1, 0));
	printf("same %d\n", memcmp(s, s + 3 * P, P) != 0);
	T(remap_file_pages(a, 2 * P, 0, 6, 0));
	printf("pages %d %d %d\n", a[0], a[P], a[2 * P]);
}

int main(int argc, char **argv) {
	setvbuf(stdout, 0, _IOFBF, 1 << 16);
	int fd = open(argv[0], O_RDONLY);
	fresh();
	maps(fd);
	fresh();
	unmaps();
	protects(fd);
	remaps(fd);
	advises(fd);
	pages(fd);
	fresh();
	rest();
	fresh();
	seals();
	return 0;
}
