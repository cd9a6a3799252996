package main

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"garrison/test/bench/report"
)

// jobLimit is how long one job may take, with what comes before and after it.
const jobLimit = 60 * time.Second

// A job is a line that is scripts of sh -e, in a fresh directory on the root of
// the container. Only run is timed; what run and check print must be the same
// under every runtime. Counts are divided by DIVIDE, which is 1 but in a smoke
// test.
type job struct {
	name, means         string
	prepare, run, check string
}

// input is a tree of a few thousand files, as a tar that every container has.
const input = "/bench/input.tar"

var jobs = []job{
	{
		name: "100 × /bin/true", means: "a shell runs /bin/true 100 times, one after the other",
		run: `i=0; while [ $i -lt $((100 / DIVIDE)) ]; do /bin/true; i=$((i + 1)); done; echo $i`,
	}, {
		name: "100 × $(echo)", means: "a shell takes the output of `echo` in a subshell 100 times: fork, a pipe, no exec",
		run: `i=0; while [ $i -lt $((100 / DIVIDE)) ]; do i=$(echo $((i + 1))); done; echo $i`,
	}, {
		name: "5 × gcc", means: "gcc -O1 compiles and links a program of one file, 5 times",
		prepare: `printf '#include <stdio.h>\n#include <stdlib.h>\nint main(int c, char **v) { printf("%%d\\n", abs(-42)); return 0; }\n' >p.c`,
		run:     `i=0; while [ $i -lt $(((5 + DIVIDE - 1) / DIVIDE)) ]; do gcc -O1 -o p p.c; i=$((i + 1)); done; ./p`,
	}, {
		name: "5 × python3", means: "python3 starts and imports a dozen modules, 5 times",
		run: `i=0; while [ $i -lt $(((5 + DIVIDE - 1) / DIVIDE)) ]; do
			python3 -c 'import json, re, subprocess, tempfile, socket, threading, argparse, logging, datetime, random, hashlib, collections; print(json.dumps([1]))'
			i=$((i + 1)); done`,
	}, {
		name: "python3, CPU only", means: "python3 computes, with next to no system calls",
		run: `python3 -c 'import os
n, s = 1500000 // int(os.environ["DIVIDE"]), 0
for i in range(n): s = (s * 31 + i) % 1000003
print(s)'`,
	}, {
		name: "tar", means: "tar of /usr/share/doc and /usr/lib/python3 to a file",
		run:   `tar cf made.tar -C / --sort=name usr/share/doc usr/lib/python3`,
		check: `tar tf made.tar | md5sum; tar xOf made.tar | md5sum`,
	}, {
		name: "untar", means: "tar unpacks such a file",
		run:   `tar xf ` + input,
		check: `find usr | sort | md5sum; find usr -type f -print0 | sort -z | xargs -0 cat | md5sum`,
	}, {
		name: "find", means: "find lists /usr",
		run:   `find /usr -xdev -path "$GOROOT" -prune -o -print >../found`,
		check: `sort ../found | md5sum; wc -l <../found`,
	}, {
		name: "du", means: "du adds up /usr",
		run: `du -s --apparent-size --exclude="$GOROOT" /usr`,
	}, {
		name: "git", means: "git init, add and commit of 100 files, and log",
		prepare: `mkdir repo; cd repo; for i in $(seq 100); do mkdir -p d$((i % 7)); seq $i $((i + 50)) >d$((i % 7))/f$i; done
			git config --global user.name A; git config --global user.email a@b; git config --global init.defaultBranch main; git config --global gc.auto 0`,
		run: `cd repo; export GIT_AUTHOR_DATE=2024-01-02T03:04:05Z GIT_COMMITTER_DATE=2024-01-02T03:04:05Z
			git init -q; git add .; git commit -q -m all; git log --format=%H`,
		check: `cd repo; git fsck --full; git status --short | wc -l`,
	}, {
		name: "rm -r", means: "rm removes a tree of a few thousand files",
		prepare: `tar xf ` + input,
		run:     `rm -r usr`,
		check:   `ls | wc -l`,
	}, {
		name: "sqlite3, 300 commits", means: "sqlite3 inserts 300 rows, each in a transaction of its own, in a database on tmpfs",
		prepare: `(echo 'create table t(a integer primary key, b text);'; for i in $(seq $((300 / DIVIDE))); do echo "insert into t(b) values('row $i');"; done) >in.sql`,
		run:     `sqlite3 /tmp/bench.db <in.sql`,
		check:   `sqlite3 /tmp/bench.db 'pragma integrity_check; select count(*), sum(a), max(b) from t'`,
	}, {
		name: "python3 threads", means: "two threads of python3 pass 20,000 numbers to and fro over queues",
		run: `python3 -c 'import os, queue, threading
n = 20000 // int(os.environ["DIVIDE"])
a, b = queue.Queue(), queue.Queue()
def echo():
    for _ in range(n): b.put(a.get() + 1)
t = threading.Thread(target=echo); t.start(); s = 0
for i in range(n):
    a.put(i); s += b.get()
t.join(); print(s)'`,
	}, {
		name: "pipe to cat, 5,000 times", means: "python3 writes a line to `cat` and reads it back, 5,000 times",
		run: `python3 -c 'import os, subprocess
p = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0); s = 0
for i in range(5000 // int(os.environ["DIVIDE"])):
    p.stdin.write(b"%d\n" % i); s += int(p.stdout.readline())
p.stdin.close(); p.wait(); print(s)'`,
	}, {
		name: "redis-benchmark", means: "redis-benchmark sends 4,000 commands to redis-server over loopback, 10 connections",
		prepare: `redis-server --save '' --port 6379 >log & i=0; until redis-cli ping >pong 2>&1 || [ $i -gt 200 ]; do sleep 0.05; i=$((i + 1)); done; grep -q PONG pong`,
		run:     `redis-benchmark -q -n $((2000 / DIVIDE)) -c 10 -t incr,lpush >../redis`,
		check:   `redis-cli get counter:__rand_int__; redis-cli llen mylist; redis-cli shutdown nosave`,
	}, {
		name: "make -j2", means: "make compiles and links a C program of 8 files, two at a time",
		prepare: `for i in 1 2 3 4 5 6 7; do printf '#include <stdio.h>\n#include "all.h"\nint f%d(int x) { return x * %d + 1; }\n' $i $i >f$i.c; echo "int f$i(int);" >>all.h; done
			printf '#include <stdio.h>\n#include "all.h"\nint main(void) { printf("%%d\\n", f1(f2(f3(f4(f5(f6(f7(1)))))))); return 0; }\n' >main.c
			printf 'OBJ = main.o f1.o f2.o f3.o f4.o f5.o f6.o f7.o\nCFLAGS = -O1\nprog: $(OBJ)\n\t$(CC) -o $@ $(OBJ)\n$(OBJ): all.h\n' >Makefile`,
		run:   `make -s -j2`,
		check: `./prog; make -q && echo made`,
	}, {
		name: "go build", means: "go builds a module of two packages, with the standard library in its cache",
		prepare: `cp -r /bench/module/. .; echo 'package greet; const whom = "world"' >greet/whom.go`,
		run:     goBuild,
		check:   `./prog`,
	},
}

// goModule is what the last job builds, but for greet/whom.go, and what fills the
// cache that it finds.
var goModule = map[string]string{
	"go.mod":         "module example\n",
	"main.go":        "package main\nimport (\"fmt\"; \"example/greet\")\nfunc main() { fmt.Println(greet.To()) }\n",
	"greet/greet.go": "package greet\nimport \"strings\"\nfunc To() string { return strings.ToUpper(\"hello, \" + whom) }\n",
}

const goBuild = `export PATH="$GOROOT/bin:$PATH" GOCACHE=${GOCACHE:-/bench/gocache} GOPATH=/tmp/go GOTOOLCHAIN=local
	GOFLAGS=-mod=mod GOPROXY=off GOTELEMETRY=off CGO_ENABLED=0; go build -trimpath -o prog .`

// id is how the guest knows a job: some names are no file's.
func id(i int) string { return strconv.Itoa(i) }

func jobLines(b *bench) (lines []*report.Line, err error) {
	if err := b.writeJobs(); err != nil {
		return nil, err
	}
	for _, j := range jobs {
		lines = append(lines, &report.Line{Name: j.name, Unit: report.Nanoseconds, Means: j.means})
	}
	return lines, nil
}

func jobRound(ctx context.Context, b *bench, rt runtime, lines []*report.Line) map[string]report.Reading {
	wanted := names(lines)
	var ids []string
	for i, j := range jobs {
		if wanted[j.name] {
			ids = append(ids, id(i))
		}
	}
	answers := b.ask(ctx, rt, question{[]string{"jobs", seconds(jobLimit)}, ids, jobLimit, b.ram})
	readings := map[string]report.Reading{}
	for i, j := range jobs {
		if r, ok := answers[id(i)]; ok {
			readings[j.name] = r
		}
	}
	return readings
}

// writeJobs puts into the layer what jobs need.
func (b *bench) writeJobs() error {
	for i, j := range jobs {
		dir := filepath.Join(b.layer, "bench/jobs", id(i))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		for name, script := range map[string]string{"prepare": j.prepare, "run": j.run, "check": j.check} {
			if script == "" {
				continue
			}
			if err := os.WriteFile(filepath.Join(dir, name), []byte(script+"\n"), 0o644); err != nil {
				return err
			}
		}
	}
	if _, err := onHost("", nil, "tar", "cf", b.layer+input, "-C", b.debian, "usr/share/doc", "usr/lib/python3"); err != nil {
		return err
	}
	return b.fillGoCache()
}

// fillGoCache builds the module with another word, so that the standard library
// is in the cache that containers get, and the module is not.
func (b *bench) fillGoCache() error {
	dir := filepath.Join(b.layer, "bench/module")
	for name, text := range goModule {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			return err
		}
	}
	env := []string{"GOROOT=" + b.goroot, "GOCACHE=" + filepath.Join(b.layer, "bench/gocache")}
	_, err := onHost(dir, env, "sh", "-ec", `echo 'package greet; const whom = "cache"' >greet/whom.go; `+goBuild+`; rm prog greet/whom.go`)
	return err
}
