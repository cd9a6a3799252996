// What a thread has done last, for when it finds something wrong.
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REMEMBERED = 48 };

struct history {
	const char *who; // how to do it again
	int thread;
	unsigned long made;
	char op[REMEMBERED][160];
};

// say notes an operation that is about to be made.
__attribute__((format(printf, 2, 3))) static void say(struct history *h, const char *fmt, ...) {
	va_list args;
	va_start(args, fmt);
	vsnprintf(h->op[h->made++ % REMEMBERED], sizeof h->op[0], fmt, args);
	va_end(args);
}

// wrong tells what the last operation got wrong, and those before it, and ends the process.
__attribute__((format(printf, 2, 3), noreturn)) static void wrong(struct history *h, const char *fmt, ...) {
	static pthread_mutex_t once = PTHREAD_MUTEX_INITIALIZER;
	pthread_mutex_lock(&once);
	for (unsigned long i = h->made > REMEMBERED ? h->made - REMEMBERED : 0; i < h->made; i++)
		printf("%8lu %s\n", i, h->op[i % REMEMBERED]);
	printf("WRONG (%s, thread %d): ", h->who, h->thread);
	va_list args;
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
	_exit(1);
}

// expect asserts that a call's result r is the errno want, or a success if that is 0.
static inline void expect(struct history *h, long r, int want) {
	int got = r < 0 ? errno : 0;
	if (got != want)
		wrong(h, "%s, want %s", strerrorname_np(got) ?: "success", want ? strerrorname_np(want) : "success");
}
