# ps, dpkg, perl, id and their like: what reads /proc and the system's files.
ps -eo user,comm,args
sleep 20 & p=$!
sleep 0.2
ps -o ppid,pgid,sid,stat,comm -p "1 $p" | sed 's/ \+/ /g'
ps aux >/tmp/ps; awk '{print $1, $8, $11, $12, $13}' /tmp/ps
kill $p
top -b -n1 | sed -n '7p' | awk '{print $1, $2, $12}'
free | awk 'NR > 1 {print $1, ($2 > 0 || $1 == "Swap:")}'
df -P / | awk 'NR == 1 {print} NR > 1 {print NF, $6}'
mount | awk '{print $3, $5}' | grep -E '^(/proc|/dev|/sys|/dev/pts|/dev/shm|/tmp) ' | sort
pgrep -c bash; pidof -s bash >/dev/null && echo pidof
lsof -p $$ -a -d 0,1,2,cwd,txt -F fn 2>/dev/null | grep -E '^[fn]' | grep -v -E 'pipe|socket|^n/dev/null' | head -n 4
dpkg -l | awk '{print $1, $2, $3}' | md5sum
dpkg -S /bin/bash; dpkg --get-selections | wc -l
id; groups; whoami; hostname; tty; nproc >/dev/null && echo nproc
perl -e 'use POSIX; my %h = map { $_ => $_ ** 2 } 1 .. 100; my $s = 0; $s += $_ for values %h; print "$s ", strftime("%Y", gmtime(0)), "\n"; open my $f, "-|", "echo piped" or die; print <$f>; close $f; my $pid = fork; exit 3 if !$pid; waitpid $pid, 0; print $? >> 8, "\n"; $SIG{ALRM} = sub { print "alarm\n" }; alarm 1; select undef, undef, undef, 3; print -s "/etc/passwd", "\n"; print join(",", sort grep { /^pass/ } glob "/etc/*"), "\n"'
perl -MSocket -e 'socketpair(my $a, my $b, AF_UNIX, SOCK_STREAM, PF_UNSPEC) or die; if (!fork) { close $a; syswrite $b, "over a socket\n"; exit } close $b; print <$a>; wait'
cat /proc/self/comm /proc/sys/kernel/ostype; readlink /proc/self/exe; ls -l /proc/self/fd | wc -l
awk '/^(Name|State|PPid|Uid|Gid|Threads|CapEff|NoNewPrivs)/' /proc/self/status
tr '\0' ' ' </proc/self/cmdline; echo
env -i A=b cat /proc/self/environ | tr '\0' '\n'
uname -s -m; date -u -d @86400; getconf PAGESIZE; stat -f -c %T /proc
