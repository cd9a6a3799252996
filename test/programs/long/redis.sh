# Redis over a unix socket: every write on disk, forks that save, blocking commands, crashes, a copy of a copy.
set -u
cd "$(mktemp -d -p /root)"
r() { redis-cli -s "$PWD/s" "$@"; }
start() { redis-server --port 0 --unixsocket "$PWD/s" --dir "$PWD" --logfile log --daemonize yes --enable-debug-command yes "$@" >/dev/null; until [ "$(r ping 2>/dev/null)" = PONG ]; do sleep 0.05; done; }
info() { r info "$1" | tr -d '\r' | sed -n "s/^$2://p"; }
saved() { until [ "$(info persistence rdb_bgsave_in_progress)$(info persistence aof_rewrite_in_progress)" = 00 ]; do sleep 0.05; done; }
aof="--appendonly yes --appendfsync always --save 3600 1"

start $aof
r info server | grep -E '^(os|arch_bits|multiplexing_api|redis_mode|process_supervised)' | sed 's/os:Linux.*/os:Linux/'
for i in $(seq 200); do echo "set k$i v$i"; done | r | sort | uniq -c
for i in $(seq 50); do r incr counter >/dev/null & done; wait; r get counter
r lpush l a b c; r zadd z 1 one 2 two; r hset h f v g w; r xadd x 1-1 a b; r pfadd p 1 2 3; r setbit bits 100 1; r geoadd g 13 38 P 15 37 C
r eval "local s = 0 for i = 1, 1000 do s = s + i end return s + redis.call('llen', KEYS[1])" 1 l
seq 20000 | sed 's/.*/set key:& value:&:&:&:&:&:&:&:&/' | r --pipe | tail -n 1 | tr -d '\r'
r dbsize
echo "== load"
redis-benchmark -s "$PWD/s" -n 3000 -c 20 -r 1000 -t set,get,incr,lpush,sadd,mset -q | tr '\r' '\n' | grep 'requests per second' | sed 's/:.*//' | sort
redis-benchmark -s "$PWD/s" -n 20000 -c 50 -P 16 --threads 2 -q -t get | tr '\r' '\n' | grep -c 'requests per second'

echo "== saving"
r bgsave; r set during 1; saved; info persistence rdb_last_bgsave_status; redis-check-rdb dump.rdb | grep -c 'RDB looks OK'
r bgrewriteaof; for i in $(seq 100); do r set during $i; done | sort | uniq -c; saved; info persistence aof_last_bgrewrite_status; r get during
r save; r debug sleep 0; r memory doctor >/dev/null && echo doctor
[ "$(info memory used_memory_rss)" -gt 1000000 ] && echo rss
r config set activedefrag yes >/dev/null 2>&1; r memory purge

echo "== waiting"
r blpop queue 20 >popped & p=$!
until [ "$(info clients blocked_clients)" = 1 ]; do sleep 0.05; done
r rpush queue job; wait $p; cat popped
r blpop none 0.2
timeout 20 redis-cli -s "$PWD/s" --csv subscribe ch >sub & p=$!
until [ "$(r pubsub numsub ch | tail -n 1)" = 1 ]; do sleep 0.05; done
r publish ch hello; until grep -q hello sub; do sleep 0.05; done; { kill $p; wait $p; } 2>/dev/null; cat sub
r set e 1 px 100; until [ -z "$(r get e)" ]; do sleep 0.05; done; echo expired
r config set notify-keyspace-events Ex; r client list | grep -c 'name='; r client no-evict on
r multi; printf 'multi\nset a 1\nincr a\nexec\n' | r; printf 'watch a\nmulti\nincr a\nexec\n' | r

echo "== killed"
r dbsize >/dev/null; before=$(r debug digest)
for round in 1 2 3; do
	(i=0; while i=$((i + 1)); [ "$(r set acked:$round $i 2>/dev/null)" = OK ]; do echo $i; done) >acked & w=$!
	sleep 0.7; kill -9 $(info server process_id); wait $w; rm -f s
	start $aof
	n=$(tail -n 1 acked); have=$(r get acked:$round)
	[ -n "$n" ] && { [ "$have" = "$n" ] || [ "$have" = $((n + 1)) ]; } && echo "all that was acknowledged is there"
	[ "$(info persistence loading)" = 0 ] && grep -c 'DB loaded from append only file' log
done
r del acked:1 acked:2 acked:3; [ "$(r debug digest)" = "$before" ] && echo same
r bgsave >/dev/null; kill -9 $(info server process_id); rm -f s; sleep 0.5
truncate -s -3 appendonlydir/*.incr.aof
start $aof; grep -c -i truncat log; r exists k1 counter
redis-check-aof appendonlydir/*.manifest | tail -n 1
kill -11 $(info server process_id); while pgrep redis-server >/dev/null; do sleep 0.05; done; grep -c 'crashed by signal: 11' log; grep -c 'STACK TRACE' log; rm -f s

echo "== threads and ends"
start $aof --io-threads 3 --io-threads-do-reads yes --activedefrag no --maxmemory 30mb --maxmemory-policy allkeys-lru
redis-benchmark -s "$PWD/s" -n 60000 -c 50 -P 8 -r 100000 -d 1000 -t set -q | tr '\r' '\n' | grep -c 'requests per second'
[ "$(info memory used_memory)" -le 33000000 ] && [ "$(info stats evicted_keys)" -gt 0 ] && echo evicted
r flushall async; r dbsize; r unlink nothing
pid=$(info server process_id); kill -TERM $pid; while kill -0 $pid 2>/dev/null; do sleep 0.05; done; [ -e s ] || echo "socket removed"
tail -n 3 log | grep -c 'bye bye'
start --save ''; r shutdown nosave; while pgrep redis-server >/dev/null; do sleep 0.05; done; ls -A | grep -c rdb
