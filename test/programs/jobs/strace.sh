# strace of programs that fork, make threads, execute others and get signals.
cd /tmp
clean() { sed -E 's/0x[0-9a-f]+/ADDR/g; s/\b(si_pid|si_utime|si_stime)=[0-9]+/\1=N/g; s/(clone|clone3|wait4|vfork|fork)\((.*)\) += [0-9]+/\1(\2) = PID/; s/child_tid=[^,}]*/child_tid=T/; s/parent_tid=[^,}]*/parent_tid=T/; s/^[0-9]+ +//; s/\[pid +[0-9]+\] //; s/ +=/ =/'; }
strace -o t1 -e trace=openat,read,write,close,execve cat /etc/hostname /nonexistent 2>/dev/null
grep -v -E 'ld.so.cache|locale|gconv' t1 | sed -E 's/, 0x[0-9a-f]+ .*vars/, ENV vars/; s/, ".*", [0-9]+\) = [0-9]+$/, DATA/; s/ +=/ =/' | grep -v hostname; tail -n 1 t1
strace -ff -o t2 -e trace=process sh -c '(exit 3); /bin/true; echo $?'
cat t2.* | clean | grep -E 'exited|exit_group' | sort
strace -ff -o t3 -e trace=execve sh -c 'ls / >/dev/null; env true'
cat t3.* | grep -c -E '^execve.* = 0'
cat >sig.c <<'EOS'
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
static void h(int s) { write(1, "handled\n", 8); }
static void *w(void *a) { syscall(SYS_getppid); return a; }
int main(void) {
	signal(SIGUSR1, h);
	raise(SIGUSR1);
	signal(SIGALRM, h);
	alarm(1);
	pause();
	pthread_t t[4];
	for (int i = 0; i < 4; i++) pthread_create(&t[i], 0, w, 0);
	for (int i = 0; i < 4; i++) pthread_join(t[i], 0);
	return 0;
}
EOS
gcc -pthread -o sig sig.c
strace -ff -o t4 -e trace=getppid,pause,rt_sigreturn ./sig
cat t4.* | clean | sed 's/getppid() = .*/getppid/' | sort
strace -ff --seccomp-bpf -o t5 -e trace=getppid ./sig 2>/dev/null; cat t5.* | grep -c getppid
strace -c -f -o t6 ./sig; awk '/getppid/ {print $4, $NF}' t6
sleep 30 & p=$!
sleep 0.2
timeout 2 strace -o t7 -p $p 2>/dev/null & s=$!
sleep 0.5; awk '/TracerPid/ {print ($2 > 0)}' /proc/$p/status
kill -STOP $p; sleep 0.3; kill -CONT $p; sleep 0.3; kill $p; wait $p 2>/dev/null; echo "gave $?"
wait $s; sed 's/si_pid=[0-9]*/si_pid=N/; s/({tv_sec=[^)]*)/(T)/' t7 | grep -v nanosleep | grep -v restart_syscall
strace -e inject=getppid:retval=4242 -o /dev/null -e trace=getppid ./sig
strace -e trace=fork,chdir -e inject=chdir:error=EIO sh -c 'cd /' 2>&1 | grep -c EIO
