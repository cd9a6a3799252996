// The floating-point and vector state survives system calls, signals and switches between threads.
// covers: rt_sigreturn sched_yield
#include "check.h"
#include <immintrin.h>
#include <pthread.h>
#include <sched.h>

static void h(int s) { asm volatile("vpxor %%ymm3,%%ymm3,%%ymm3; vpxor %%ymm12,%%ymm12,%%ymm12" ::: "xmm3", "xmm12"); }

__attribute__((target("avx"))) static void *work(void *a) {
	long seed = (long)a;
	double in[4] = {seed + .25, seed + .5, seed + .75, seed + 1}, out[4], out2[4];
	for (int i = 0; i < 300; i++) {
		asm volatile("vmovupd %2,%%ymm3; vmovupd %2,%%ymm12; mov $24,%%eax; syscall; vmovupd %%ymm3,%0; vmovupd %%ymm12,%1"
			     : "=m"(out), "=m"(out2) : "m"(in) : "rax", "rcx", "r11", "xmm3", "xmm12", "memory");
		CHECK(!memcmp(in, out, sizeof in) && !memcmp(in, out2, sizeof in));
		if (i % 10 == 0) {
			asm volatile("vmovupd %2,%%ymm3; vmovupd %2,%%ymm12; mov %3,%%rdi; mov %4,%%rsi; mov %5,%%rdx; mov $234,%%eax; syscall; vmovupd %%ymm3,%0; vmovupd %%ymm12,%1"
				     : "=m"(out), "=m"(out2) : "m"(in), "r"((long)getpid()), "r"(syscall(SYS_gettid)), "r"((long)SIGUSR1)
				     : "rax", "rcx", "rdx", "rsi", "rdi", "r11", "xmm3", "xmm12", "memory");
			CHECK(!memcmp(in, out, sizeof in) && !memcmp(in, out2, sizeof in));
		}
	}
	return NULL;
}

int main(void) {
	if (!__builtin_cpu_supports("avx")) return 0;
	signal(SIGUSR1, h);
	pthread_t t[4];
	for (long i = 0; i < 4; i++) pthread_create(&t[i], NULL, work, (void *)i);
	for (int i = 0; i < 4; i++) pthread_join(t[i], NULL);
	unsigned csr = _mm_getcsr() ^ 0x6000; // another rounding mode
	_mm_setcsr(csr);
	if (fork() == 0) _exit(_mm_getcsr() == csr ? 0 : 1);
	int st;
	CHECK(wait(&st) > 0 && WEXITSTATUS(st) == 0);
	return 0;
}
