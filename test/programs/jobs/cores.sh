# What gdb finds in the core file that the kernel writes: threads, their frames, memory.
cd /tmp
cat /proc/sys/kernel/core_pattern
cat >c.c <<'EOS'
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
struct list { int v; struct list *next; };
static struct list *top;
static pthread_barrier_t ready;
static int waits(int depth, int who) {
	if (depth > 0)
		return waits(depth - 1, who) + 1;
	pthread_barrier_wait(&ready);
	for (;;)
		pause();
}
static void *worker(void *arg) { return (void *)(long)waits((long)arg, (long)arg * 10); }
static void fails(struct list *l) {
	double x = 2.5, y = x * l->v;
	if (y > 0)
		abort();
}
int main(int argc, char **argv) {
	for (int i = 1; i < 4; i++) {
		struct list *n = malloc(sizeof *n);
		n->v = i, n->next = top, top = n;
	}
	pthread_barrier_init(&ready, 0, 3);
	pthread_t t[2];
	for (long i = 0; i < 2; i++)
		pthread_create(&t[i], 0, worker, (void *)(i + 1));
	pthread_barrier_wait(&ready);
	usleep(20000);
	if (argc > 1)
		*(volatile int *)16 = 1;
	fails(top);
}
EOS
gcc -g -O0 -no-pie -pthread -o c c.c
ulimit -c unlimited
clean() { sed -E 's/0x[0-9a-f]{6,}/ADDR/g; s/LWP [0-9]+/LWP N/g; s/Thread [0-9]+ \(/Thread N (/' | grep -v -E '^\[(New|Current)|^Using host|^\[Thread debugging|warning: |^Downloading|^$|debuginfod'; }
run() { timeout 100 gdb -q -nx -batch -iex 'set debuginfod enabled off' -ex 'set pagination off' "$@" 2>&1 | clean; }
rm -f core
bash -c "./c; exit \$?" 2>/dev/null; echo "ended with $?"
run -ex 'bt -5' -ex 'frame function fails' -ex 'print x' -ex 'print *l' -ex 'print *l->next->next' -ex 'print $_siginfo.si_signo' ./c core
run -ex 'thread apply all -ascending bt 4' ./c core | grep -E 'waits|worker|fails|main|^Thread' | sort
run -ex 'info threads' ./c core | grep -c LWP
run -ex 'info proc mappings' ./c core | grep -q libc && echo 'knows its files'
rm -f core
bash -c "./c x; exit \$?" 2>/dev/null; echo "ended with $?"
run -ex bt -ex 'print $_siginfo._sifields._sigfault.si_addr' -ex 'info auxv' -ex 'print $xmm0.v2_double[0] == $xmm0.v2_double[0] || 1' ./c core | grep -E '^#|^\$|AT_(PAGESZ|EXECFN|UID|SECURE)'
run -ex 'info proc' ./c core | sed -E 's/process [0-9]+/process N/' | grep -E 'exe|cmdline'
readelf -nW core | sed -n 's/^  \([A-Z]*\) *0x[0-9a-f]*.\(NT_[A-Z0-9_]*\).*/\1 \2/p' | sort | uniq -c
