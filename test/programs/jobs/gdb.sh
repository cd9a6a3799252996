# gdb in batch mode: breakpoints, steps, threads, values, a core, attaching.
cd /tmp
cat >p.c <<'EOS'
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
struct node { int v; struct node *next; };
int counter;
double half;
static int fib(int n) {
	if (n < 2)
		return n;
	return fib(n - 1) + fib(n - 2);
}
static void *worker(void *arg) {
	for (int i = 0; i < 3; i++)
		__atomic_add_fetch(&counter, (long)arg, __ATOMIC_SEQ_CST);
	return 0;
}
int main(int argc, char **argv) {
	struct node *l = 0;
	for (int i = 0; i < 3; i++) {
		struct node *n = malloc(sizeof *n);
		n->v = i;
		n->next = l;
		l = n;
	}
	half = fib(6) / 2.0;
	pthread_t t[2];
	for (long i = 0; i < 2; i++)
		pthread_create(&t[i], 0, worker, (void *)(i + 1));
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], 0);
	FILE *f = fopen("out", "a");
	fprintf(f, "%d %g %d\n", fib(5), half, counter);
	fclose(f);
	if (fork() == 0)
		_exit(4);
	if (argc > 1)
		*(volatile int *)8 = 1;
	return l->v;
}
EOS
gcc -g -O0 -no-pie -pthread -o p p.c
clean() { sed -E 's/0x[0-9a-f]{6,}/ADDR/g; s/LWP [0-9]+/LWP N/g; s/process [0-9]+/process N/g' | grep -v -E '^\[(New|Switching|Thread|Detaching)|^Using host|^\[Thread debugging|warning: |^Downloading|^$|debuginfod'; }
run() { timeout 100 gdb -q -nx -batch -iex 'set debuginfod enabled off' -ex 'set pagination off' "$@" 2>&1 | clean; }
run -ex 'break fib if n == 1' -ex run -ex bt -ex 'up 2' -ex 'print n' -ex 'info locals' -ex delete \
	-ex finish -ex 'print half' -ex 'print fib(7)' -ex continue ./p
run -ex 'break worker' -ex run -ex 'thread' -ex 'bt 1' -ex 'print (long)arg > 0' -ex 'set scheduler-locking on' -ex next -ex stepi -ex 'set scheduler-locking off' -ex delete -ex continue ./p | sed -E 's/Thread [0-9]+/Thread N/; s/urrent thread is [0-9]+/urrent thread is N/; s/arg=ADDR|arg=0x[12]/arg=A/'
run -ex 'break 25' -ex run -ex 'print *l' -ex 'print *l->next' -ex 'ptype l' -ex 'print $rip == $pc' -ex 'x/2i $pc' -ex 'set var l->v = 9' \
	-ex 'print $xmm0.v4_int32[0] >= 0' -ex 'info registers eflags cs ss' -ex 'tbreak fclose' -ex continue -ex 'print half' -ex kill ./p
run -ex 'set can-use-hw-watchpoints 0' -ex 'break main' -ex run -ex 'watch half' -ex 'continue' -ex 'info watchpoints' -ex kill ./p | sed -E 's/breakpoint already hit.*//'
run -ex 'run x' -ex bt -ex 'print $_siginfo.si_signo' -ex 'print $_siginfo._sifields._sigfault.si_addr' -ex 'generate-core-file core.p' ./p
run -ex bt -ex 'print counter' -ex 'info threads' ./p core.p | grep -v '^Core was'
run -ex 'catch fork' -ex 'set follow-fork-mode child' -ex run -ex continue ./p
run -ex 'catch syscall write' -ex run -ex continue -ex kill ./p | grep -E 'Catchpoint|syscall' | sed 's/, .*//'
run -ex 'starti' -ex 'info program' -ex kill ./p | grep -c 'stopped'
uniq -c out
cat >loop.c <<'EOS'
#include <unistd.h>
volatile int stop;
int main(void) { while (!stop) usleep(1000); return 5; }
EOS
gcc -g -no-pie -o loop loop.c
./loop & p=$!
sleep 0.2
run -p $p -ex 'frame function main' -ex 'print stop' -ex 'set var stop = 1' -ex detach | tail -n 3
wait $p; echo "gave $?"
