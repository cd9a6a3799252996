# python3: threads, subprocess, multiprocessing, json, sqlite3, AF_UNIX sockets.
cat >/tmp/t.py <<'EOF'
import json, os, queue, select, signal, socket, sqlite3, subprocess, sys, tempfile, threading, time
from multiprocessing import Pool, Process, Queue, Value

def square(x): return x * x

def child(q, v):
    with v.get_lock(): v.value += 5
    q.put(os.getpid() != os.getppid())

def threads():
    q, out = queue.Queue(), []
    lock = threading.Lock()
    def work():
        while (i := q.get()) is not None:
            with lock: out.append(i * 2)
    ts = [threading.Thread(target=work) for _ in range(8)]
    for t in ts: t.start()
    for i in range(2000): q.put(i)
    for _ in ts: q.put(None)
    for t in ts: t.join()
    print("threads", sum(out), len(out))
    ev = threading.Event(); print("event timeout", ev.wait(0.02))

def subprocesses():
    r = subprocess.run(["sh", "-c", "cat; echo err >&2; exit 4"], input=b"hello\n", capture_output=True)
    print("run", r.returncode, r.stdout, r.stderr)
    p = subprocess.Popen(["sleep", "10"]); p.terminate(); print("terminated", p.wait())
    try: subprocess.run(["sleep", "10"], timeout=0.05)
    except subprocess.TimeoutExpired: print("timeout expired")
    try: subprocess.run(["/nonexistent"])
    except FileNotFoundError as e: print("missing", e.errno)
    print(subprocess.check_output("echo $((6*7)) | cat", shell=True).decode().strip())
    print("pgrp", os.getpgid(0) == os.getpgrp())

def multi():
    with Pool(4) as p: print("pool", sum(p.map(square, range(200))))
    q, v = Queue(), Value("i", 0)
    ps = [Process(target=child, args=(q, v)) for _ in range(3)]
    for p in ps: p.start()
    print("queue", [q.get() for _ in ps])
    for p in ps: p.join()
    print("value", v.value, [p.exitcode for p in ps])

def database():
    db = sqlite3.connect("/tmp/t.db")
    db.execute("create table t(a integer primary key, b text)")
    for i in range(50):
        with db: db.execute("insert into t(b) values(?)", (str(i),))
    print("rows", db.execute("select count(*), sum(a) from t").fetchone())
    print(db.execute("pragma integrity_check").fetchone(), os.path.getsize("/tmp/t.db"))

def sockets():
    path = "/tmp/s.sock"
    s = socket.socket(socket.AF_UNIX); s.bind(path); s.listen(5)
    def serve():
        for _ in range(3):
            c, _ = s.accept()
            with c:
                while d := c.recv(100): c.sendall(d.upper())
    t = threading.Thread(target=serve); t.start()
    for i in range(3):
        c = socket.socket(socket.AF_UNIX); c.connect(path); c.sendall(b"abc%d" % i); c.shutdown(socket.SHUT_WR)
        print(c.recv(100), c.recv(100), c.getsockopt(socket.SOL_SOCKET, 17, 12)[:4] == os.getpid().to_bytes(4, "little")); c.close()
    t.join()
    a, b = socket.socketpair()
    f = tempfile.TemporaryFile(); f.write(b"passed along"); f.flush()
    socket.send_fds(a, [b"x"], [f.fileno()])
    _, fds, _, _ = socket.recv_fds(b, 10, 4)
    print("passed", os.pread(fds[0], 100, 0))
    d1 = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); d1.bind("\0abstract")
    d2 = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); d2.sendto(b"dgram", "\0abstract"); print(d1.recvfrom(100))
    try: c = socket.socket(socket.AF_UNIX); c.connect("/tmp/none")
    except FileNotFoundError as e: print("connect", e.errno)
    a.setblocking(False)
    try: a.recv(1)
    except BlockingIOError as e: print("would block", e.errno)
    print("select", select.select([a], [a], [], 0)[1] == [a])
    p = select.poll(); p.register(a, select.POLLIN); b.send(b"x"); print("poll", [e for _, e in p.poll(1000)])
    ep = select.epoll(); ep.register(a, select.EPOLLIN | select.EPOLLET); print("epoll", [e for _, e in ep.poll(1)], ep.poll(0.01))

def inet():
    s = socket.create_server(("127.0.0.1", 0)); port = s.getsockname()[1]
    def serve():
        c, _ = s.accept()
        with c: c.sendall(c.recv(1000)[::-1])
    t = threading.Thread(target=serve); t.start()
    with socket.create_connection(("127.0.0.1", port)) as c: c.sendall(b"tcp hello"); print(c.recv(100))
    t.join()
    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(("127.0.0.1", 0))
    v = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); v.sendto(b"udp hello", u.getsockname()); print(u.recv(100))
    try: socket.create_connection(("127.0.0.1", 1), 1)
    except ConnectionRefusedError as e: print("refused", e.errno)

def signals():
    got = []
    signal.signal(signal.SIGALRM, lambda s, f: got.append(s))
    signal.setitimer(signal.ITIMER_REAL, 0.02); signal.pause(); print("alarm", got)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1]); os.kill(os.getpid(), signal.SIGUSR1)
    print("pending", signal.sigpending(), signal.sigwait([signal.SIGUSR1]))
    pid = os.fork()
    if pid == 0: os._exit(11)
    print("wait", os.WEXITSTATUS(os.waitpid(pid, 0)[1]))

threads(); subprocesses(); multi(); database(); sockets(); inet(); signals()
print(json.dumps({"z": [1, 2.5, None, True], "a": {"nested": "ü"}}, sort_keys=True))
print(sys.version_info[:2], time.clock_gettime(time.CLOCK_MONOTONIC) > 0, os.cpu_count() >= 1)
sys.exit(17)
EOF
exec python3 -X faulthandler /tmp/t.py
