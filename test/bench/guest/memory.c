// What the memory of a process costs.
#include "bench.h"

#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096, TOUCHED = 64 << 20, SHARED = 16 << 20 };

// fresh is size bytes of private memory, a page at a time.
static char *fresh(size_t size) {
	char *p = try(mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	madvise(p, size, MADV_NOHUGEPAGE); // a kernel without huge pages refuses: as good
	return p;
}

u64 op_mmap(long n, const char *where) {
	u64 begin = now();
	for (long i = 0; i < n; i++) {
		char *p = try(mmap(NULL, 64 << 10, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
		try(munmap(p, 64 << 10));
	}
	return now() - begin;
}

u64 op_touch(long n, const char *where) {
	u64 took = 0;
	while (n > 0) {
		long pages = n < TOUCHED / PAGE ? n : TOUCHED / PAGE;
		volatile char *p = fresh(TOUCHED);
		u64 begin = now();
		for (long i = 0; i < pages; i++) p[i * PAGE] += 1;
		took += now() - begin;
		for (long i = 0; i < pages; i++)
			if (p[i * PAGE] != 1) fail("fresh memory was not zero");
		try(munmap((char *)p, TOUCHED));
		n -= pages;
	}
	return took;
}

// op_cow has the child tell how long it took by a page that both share.
u64 op_cow(long n, const char *where) {
	static char *p;
	static u64 *told;
	if (!p) {
		p = fresh(SHARED);
		told = try(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	}
	u64 took = 0;
	while (n > 0) {
		long pages = n < SHARED / PAGE ? n : SHARED / PAGE;
		for (long i = 0; i < pages; i++) p[i * PAGE] = 1; // they may be the last child's: take them back
		pid_t pid = try(fork());
		if (pid == 0) {
			u64 begin = now();
			for (long i = 0; i < pages; i++) ((volatile char *)p)[i * PAGE] += 1;
			*told = now() - begin;
			for (long i = 0; i < pages; i++)
				if (p[i * PAGE] != 2) _exit(9);
			_exit(0);
		}
		await(pid);
		for (long i = 0; i < pages; i++)
			if (p[i * PAGE] != 1) fail("the child wrote to the parent's page");
		took += *told;
		n -= pages;
	}
	return took;
}
