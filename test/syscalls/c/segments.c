// arch_prctl(2), FS and GS: bases that are set after a selector was loaded.
// covers: arch_prctl
#include "check.h"
#include <asm/prctl.h>

enum { DATA = 0x2b, ENOUGH = 200 }; // of 64-bit programs; calls from one place

static unsigned long base(int which) {
	unsigned long a = -1;
	CHECK(syscall(SYS_arch_prctl, which, &a) == 0);
	return a;
}

// call makes a system call that FS is not needed for.
static inline long call(long nr, long a, void *b) {
	long r;
	__asm__ volatile("syscall" : "=a"(r) : "0"(nr), "D"(a), "S"(b) : "rcx", "r11", "memory");
	return r;
}

static void fs_with_a_selector(void) {
	unsigned long was = base(ARCH_GET_FS), seen = -1;
	unsigned short left;
	for (int i = 0; i < ENOUGH; i++) {
		__asm__ volatile("mov %w0, %%fs" ::"r"(DATA));
		long r = i % 2 ? call(SYS_arch_prctl, ARCH_GET_FS, &seen) : 0;
		long s = call(SYS_arch_prctl, ARCH_SET_FS, (void *)was);
		__asm__ volatile("mov %%fs, %w0" : "=r"(left));
		CHECK(r == 0 && s == 0 && left == 0 && (i % 2 == 0 || seen == 0));
		errno = 0;
		CHECK(close(-1) == -1 && errno == EBADF); // errno is at FS
	}
}

static void gs_with_a_selector(void) {
	unsigned long at[8] = {0, 77};
	unsigned long v;
	for (int i = 0; i < ENOUGH; i++) {
		__asm__ volatile("mov %w0, %%gs" ::"r"(DATA));
		CHECK(getppid() > 0 && base(ARCH_GET_GS) == 0);
	}
	for (int i = 0; i < ENOUGH; i++) {
		CHECK(syscall(SYS_arch_prctl, ARCH_SET_GS, at) == 0);
		__asm__ volatile("mov %%gs:8, %0" : "=r"(v));
		CHECK(v == 77 && base(ARCH_GET_GS) == (unsigned long)at);
		__asm__ volatile("mov %w0, %%gs" ::"r"(DATA));
	}
}

int main(void) {
	APART(fs_with_a_selector());
	APART(gs_with_a_selector());
	return 0;
}
