# Loops with pipes, subshells, here-documents, traps, background jobs.
exec 2>&1
cd "$(mktemp -d)"
for i in 1 2 3 4 5; do echo "line $i"; done | sed 's/line/row/' | sort -r | tee rows | wc -l
cat rows
n=0; while read -r a b; do n=$((n + b)); done <rows; echo "sum $n"
(cd / && pwd; exit 3); echo "subshell gave $?"
cat <<EOF | tr a-z A-Z
here is $(echo a document) of $(wc -c <rows) bytes
EOF
cat <<<"a here string"
trap 'echo got USR1' USR1
kill -USR1 $$
trap 'echo got TERM; exit 7' TERM
bash -c 'trap "echo child trap; exit 9" TERM; kill -TERM $$; sleep 5'; echo "child gave $?"
sleep 0.05 & p=$!
wait $p; echo "background gave $?"
trap - TERM; (exec sleep 30) & p=$!; sleep 0.1
kill $p; wait $p 2>/dev/null; echo "killed background gave $?"
for i in 1 2 3; do (echo "job $i" >"job$i"; exit "$i") & done; wait; cat job1 job2 job3
mkfifo pipe; (echo through a fifo >pipe) & cat pipe; wait
false | true; echo "${PIPESTATUS[@]}"
set -o pipefail; false | true; echo "pipefail $?"
yes | head -n 3; echo "yes ended by ${PIPESTATUS[0]}"
seq 1 20000 | md5sum
exec 5<>both; echo into five >&5; exec 5<&-; cat both
diff <(seq 1 5) <(seq 2 6); echo "diff $?"
coproc cat; echo "to coproc" >&"${COPROC[1]}"; read -r x <&"${COPROC[0]}"; echo "$x"
eval "exec ${COPROC[1]}>&-"; wait
nosuchcommand 2>&1 | sed 's/.*line [0-9]*: //'; echo "${PIPESTATUS[0]}"
touch notexec; ./notexec 2>/dev/null; echo "$?"
umask 027; touch masked; mkdir maskeddir; stat -c '%a %F' masked maskeddir
ln -s masked link; readlink link; stat -L -c %F link; test -L link && echo is a link
ulimit -n; ulimit -c; test -t 0 || echo no terminal
printf '%s\n' *; echo $((2 ** 40)) $RANDOM >/dev/null
timeout 0.1 sleep 5; echo "timeout gave $?"
(timeout -s KILL 0.1 sleep 5; echo "timeout gave $?") 2>/dev/null
(bash -c "kill -SEGV \$\$"; echo "segv gave $?") 2>/dev/null
exit 42
