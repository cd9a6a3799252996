# sqlite3 with commits, in both journal modes.
cd "$(mktemp -d)"
for mode in delete wal truncate persist; do
	{
		echo "pragma journal_mode=$mode; create table t(a integer primary key, b text);"
		for i in $(seq 1 100); do echo "insert into t(b) values('row $i');"; done
		echo "begin; update t set b = b || '!' where a % 2; rollback; begin; delete from t where a > 90; commit;"
		echo "select count(*), sum(a), max(b) from t; pragma integrity_check; vacuum;"
	} | sqlite3 $mode.db
	sqlite3 $mode.db .dump | md5sum
done
sqlite3 a.db 'create table x(y); insert into x values(1);' & sqlite3 b.db 'create table x(y); insert into x values(2);' & wait
sqlite3 a.db "attach 'b.db' as b; select x.y, z.y from x, b.x z"
