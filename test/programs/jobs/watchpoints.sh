# gdb's watchpoints and breakpoints in the processor's debug registers.
cd /tmp
cat >p.c <<'EOS'
#include <pthread.h>
double half;
static void *worker(void *arg) { return arg; }
int main(void) {
	half = 1;
	half = 4;
	pthread_t t[2];
	for (long i = 0; i < 2; i++)
		pthread_create(&t[i], 0, worker, (void *)(i + 1));
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], 0);
	return 2;
}
EOS
gcc -g -O0 -no-pie -pthread -o p p.c
timeout 100 gdb -q -nx -batch -iex 'set debuginfod enabled off' -ex 'set pagination off' -ex 'set can-use-hw-watchpoints 1' \
	-ex 'break 6' -ex run -ex 'watch half' -ex 'hbreak worker' -ex continue -ex continue -ex delete -ex continue ./p 2>&1 |
	sed -E 's/Thread [0-9]+ "p" hit/Thread N "p" hit/; s/arg=0x[12]/arg=A/; s/0x[0-9a-f]{6,}/ADDR/g; s/process [0-9]+/process N/g' |
	grep -v -E '^\[(New|Switching|Thread|Detaching)|^Using host|^\[Thread debugging|warning: |^Downloading|^$' >out
grep -q 'Old value = 1' out || echo "absent debug registers"
cat out
