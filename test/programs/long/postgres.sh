# root: servers
# PostgreSQL over a unix socket: a cluster made, load, locks and timers, a replica, and crashes.
export PGDATA=/var/lib/postgresql/data PGHOST=/var/run/postgresql PGUSER=postgres PGTZ=UTC
PATH=$(echo /usr/lib/postgresql/*/bin):$PATH
cd /var/lib/postgresql
as() { setpriv --reuid postgres --regid postgres --init-groups -- "$@"; }
q() { as psql -X -A -t -q -v ON_ERROR_STOP=1 "$@" 2>&1; }
start() { as pg_ctl -D "${1:-$PGDATA}" -w -t 120 -l "/tmp/log.${2:-a}" start >/dev/null && echo started; }
stop() { as pg_ctl -D "${1:-$PGDATA}" -w -t 120 -m "${2:-fast}" stop >/dev/null && echo stopped; }

su postgres -c "PATH=$PATH initdb -D $PGDATA -k --auth=trust --no-instructions" 2>&1
cat >>$PGDATA/postgresql.conf <<EOS
listen_addresses = ''
deadlock_timeout = 200ms
max_parallel_workers_per_gather = 2
min_parallel_table_scan_size = 0
parallel_setup_cost = 0
parallel_tuple_cost = 0
wal_level = replica
EOS
start
q -c 'show dynamic_shared_memory_type' -c 'show shared_memory_type' -c 'show data_checksums'

echo "== load"
as pgbench -i -q -s 4 postgres 2>&1 | grep -E '^(creating|vacuuming|dropping)'
as pgbench -n -c 4 -j 2 -t 200 postgres 2>/dev/null | grep -E '^number|^transaction type|^query mode'
as pgbench -n -c 4 -j 2 -t 200 -M prepared -S postgres 2>/dev/null | grep -E '^number|^transaction type|^query mode'
same='select (select sum(abalance) from pgbench_accounts) = (select sum(delta) from pgbench_history), (select sum(tbalance) from pgbench_tellers) = (select sum(bbalance) from pgbench_branches), (select sum(tbalance) from pgbench_tellers) = (select sum(delta) from pgbench_history), (select count(*) from pgbench_history)'
q -c "$same"

echo "== queries"
q <<'EOS'
create table t as select i, md5(i::text) as h, i % 97 as g from generate_series(1, 200000) i;
analyze t;
explain (costs off) select g, count(*) from t group by g;
select count(*), sum(i), min(h), max(h) from t where g < 50;
create index on t(h);
create index on t using hash (i);
set work_mem = '64kB';
select md5(string_agg(h, '' order by h desc)) from t;
reset work_mem;
\copy t to '/tmp/t.csv' csv
create table u (like t);
\copy u from '/tmp/t.csv' csv
select count(*) from t join u using (i, h, g);
delete from u where i % 2 = 0;
vacuum full analyze u;
cluster t using t_h_idx;
select pg_relation_size('u') > 0, count(*) from u;
copy (select 1) to program 'cat >/tmp/one';
copy t(g) from program 'seq 1 10';
select to_tsvector('english', 'the quick brown foxes') @@ to_tsquery('fox');
select lo_from_bytea(4000000, decode(repeat('00ff', 100000), 'hex'));
select octet_length(lo_get(4000000));
select count(*) from pg_ls_waldir() where size = 16777216;
EOS
cat /tmp/one; md5sum </tmp/t.csv

echo "== timers and signals"
q -c "set statement_timeout = '200ms'" -c "select pg_sleep(30)"
q -c begin -c 'lock table t' -c 'select pg_sleep(3)' >/tmp/holder & h=$!
until [ "$(q -c "select count(*) from pg_locks where relation = 't'::regclass and mode = 'AccessExclusiveLock' and granted")" = 1 ]; do sleep 0.1; done
q -c begin -c "set lock_timeout = '100ms'" -c 'lock table t'
wait $h
as psql -X -q -A -t -c "set application_name = 'sleeper'" -c 'select pg_sleep(60)' >/tmp/sleeper 2>&1 & s=$!
until [ "$(q -c "select count(*) from pg_stat_activity where application_name = 'sleeper' and state = 'active' and query like '%pg_sleep%'")" = 1 ]; do sleep 0.1; done
q -c "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'sleeper'"
wait $s; echo "sleeper gave $?"; head -n 1 /tmp/sleeper
q -c 'create table d(i int primary key, v int)' -c 'insert into d values (1, 0), (2, 0)'
for order in '1 2' '2 1'; do
	set -- $order
	q -c 'begin' -c "update d set v = v + 1 where i = $1" -c 'select pg_sleep(0.5)' -c "update d set v = v + 1 where i = $2" -c commit >/tmp/dead.$1 & eval "p$1=$!"
done
wait $p1; a=$?; wait $p2; b=$?
echo "deadlocks: $(cat /tmp/dead.1 /tmp/dead.2 | grep -c 'deadlock detected') $(( (a == 0) + (b == 0) ))"
q -c 'select * from d order by i'
q -c 'listen n' -c "notify n, 'hello'" | sed 's/PID [0-9]*/PID/'

echo "== replica"
as pg_basebackup -D /var/lib/postgresql/replica -R -c fast -X stream 2>&1
echo "port = 5433" >>replica/postgresql.conf
start replica b
q -c 'create table after(i int)' -c 'insert into after select generate_series(1, 1000)'
want=$(q -c 'select pg_current_wal_lsn()')
for i in $(seq 100); do [ "$(q -p 5433 -c "select pg_last_wal_replay_lsn() >= '$want'")" = t ] && break; sleep 0.1; done
q -p 5433 -c 'select count(*), pg_is_in_recovery() from after'
q -p 5433 -c 'insert into after values (1)'
as pg_ctl -D replica -w promote >/dev/null; q -p 5433 -c 'insert into after values (1)' -c 'select count(*), pg_is_in_recovery() from after'
stop replica

echo "== a backend killed"
q -c 'create table acked(i int)'
as psql -X -q -A -t -c "set application_name = 'victim'" -c 'select pg_sleep(60)' >/tmp/victim 2>&1 & s=$!
until v=$(q -c "select pid from pg_stat_activity where application_name = 'victim' and state = 'active' and query like '%pg_sleep%'") && [ -n "$v" ]; do sleep 0.1; done
kill -9 $v; wait $s; echo "victim gave $?"; grep -o 'server closed the connection unexpectedly' /tmp/victim
until q -c 'select 1' >/dev/null; do sleep 0.1; done
grep -o -E 'terminated by signal 9: Killed|terminating any other active server processes|all server processes terminated; reinitializing|automatic recovery in progress' /tmp/log.a | sort -u
q -c "$same"

echo "== the postmaster killed"
for round in 1 2 3; do
	as pgbench -n -c 4 -j 2 -T 60 postgres >/dev/null 2>&1 & load=$!
	(i=0; while i=$((i + 1)); q -c "insert into acked values ($i)" >/dev/null; do echo $i; done) >/tmp/acked & w=$!
	sleep 1.5
	master=$(head -n 1 $PGDATA/postmaster.pid)
	kill -9 $master
	wait $load; wait $w
	while pgrep -U postgres postgres >/dev/null; do sleep 0.1; done
	start
	grep -c 'database system was not properly shut down; automatic recovery in progress' /tmp/log.a # one is the killed backend's
	q -c "$same" | cut -d'|' -f1-3
	[ "$(q -c 'select count(*) from acked')" -ge "$(wc -l </tmp/acked)" ] && [ -s /tmp/acked ] && echo "all that was acknowledged is there"
	q -c 'truncate acked'
done
q -c 'select count(*), sum(i) from t' -c 'reindex table t' -c 'select count(distinct h) from t'

echo "== ends"
stop "" immediate
start
stop "" smart
as pg_checksums --check 2>&1 | sed -E 's/[0-9]{3,}/N/'
echo "shared_memory_type = sysv" >>$PGDATA/postgresql.conf
echo "dynamic_shared_memory_type = sysv" >>$PGDATA/postgresql.conf
start; q -c 'show shared_memory_type' -c 'select g, count(*) from t group by g order by g limit 3'; [ $(ipcs -m | grep -c postgres) -gt 0 ] && echo segments; stop
ipcs -m | grep -c postgres
as pg_controldata | grep 'cluster state'
echo "panics: $(cat /tmp/log.* | grep -c PANIC)"
