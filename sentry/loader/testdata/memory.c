// Uses memory in many ways and prints what it finds; run natively first.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <time.h>

static char bss[1 << 20];
static char data[100000] = "initialised";

static int deep(int n) {
	volatile char frame[4096];
	frame[n % 4096] = 1;
	return n == 0 ? 0 : deep(n - 1) + frame[n % 4096];
}

int main(int argc, char **argv) {
	printf("argc %d, secure %lu, page %lu\n", argc, getauxval(AT_SECURE), getauxval(AT_PAGESZ));
	for (size_t i = 0; i < sizeof bss; i += 4096)
		bss[i] = (char)i;
	printf("data %s, bss %d\n", data, bss[8192]);
	strcpy(data + 50000, "changed");
	printf("stack %d\n", deep(1000));
	char *heap[200];
	for (int i = 0; i < 200; i++) {
		heap[i] = malloc(1 << (i % 20));
		memset(heap[i], i, 1 << (i % 20));
	}
	long sum = 0;
	for (int i = 0; i < 200; i++) {
		sum += heap[i][(1 << (i % 20)) - 1];
		if (i % 2)
			free(heap[i]);
	}
	printf("heap %ld\n", sum);
	char *m = mmap(0, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	strcpy(m + 500000, "here");
	m = mremap(m, 1 << 20, 4 << 20, MREMAP_MAYMOVE);
	printf("mremap %s %d\n", m + 500000, m[3 << 20]);
	mprotect(m, 4096, PROT_READ);
	printf("madvise %d, then %d\n", madvise(m, 1 << 20, MADV_DONTNEED), m[500000]);
	printf("munmap %d\n", munmap(m, 4 << 20));
	struct timespec a, b;
	clock_gettime(CLOCK_MONOTONIC, &a);
	clock_gettime(CLOCK_MONOTONIC, &b);
	printf("time %d %d\n", a.tv_sec > 0, b.tv_sec > a.tv_sec || b.tv_nsec >= a.tv_nsec);
	FILE *f = fopen(argv[0], "r");
	char magic[4];
	printf("read %zu %d\n", fread(magic, 1, 4, f), magic[1] == 'E');
	return 0;
}
