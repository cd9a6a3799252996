"""Runs a part of a suite inside the container, and writes how each case ended.

run.py SUITE SECONDS LEAVE NAME...: each NAME (a module, a package)
is one process, ended after SECONDS; the cases in LEAVE, separated by blanks, are
not run where that can be said. A line of /results is a verdict (ok, skip, bad,
hang) and the case; of several for one case the last is right, but bad stays bad.
"""
import os
import re
import signal
import subprocess
import sys

RESULTS = "/results"
WORK = "/var/tmp/work"


def say(verdict, case):
    with open(RESULTS, "a") as out:
        out.write(f"{verdict} {case}\n")


def limited(args, seconds, cwd, dump=signal.SIGTERM, **more):
    """Runs args for seconds at most; its status, or None if it was ended. It is
    sent dump first, which makes it say where it hangs."""
    p = subprocess.Popen(args, cwd=cwd, stdin=subprocess.DEVNULL, start_new_session=True, **more)
    try:
        return p.wait(seconds)
    except subprocess.TimeoutExpired:
        pass
    p.send_signal(dump)
    try:
        p.wait(3)
    except subprocess.TimeoutExpired:
        pass
    os.killpg(p.pid, signal.SIGKILL)
    p.wait()
    return None


def verdict(status):
    return {0: "ok", None: "hang"}.get(status, "bad")


def python(name, seconds, leave):
    status = limited([sys.executable, "-X", "faulthandler", "/guest/unittests.py", RESULTS, name, *leave],
                     seconds, WORK, signal.SIGABRT)
    say(verdict(status), name)


def go(name, seconds, leave):
    """A package's tests, built as /gotests/PACKAGE.test, below its sources."""
    skip = ["-test.skip=" + "|".join(f"^{c.partition('.')[2]}$" for c in leave)] if leave else []
    binary = "/gotests/" + name.replace("/", "_") + ".test"
    out = WORK + "/out"
    with open(out, "wb") as f:
        status = limited([binary, "-test.short", "-test.v=test2json", *skip], seconds,
                         os.environ["GOROOT"] + "/src/" + name, signal.SIGQUIT, stdout=f, stderr=subprocess.STDOUT)
    with open(out, "rb") as f:
        text = f.read().decode(errors="replace")
    words = {"PASS": "ok", "SKIP": "skip", "FAIL": "bad"}
    for m in re.finditer(r"=== RUN   (\S+)|--- (PASS|SKIP|FAIL): (\S+) \(", text):
        if m[1]:
            say("hang", f"{name}.{m[1]}")
        else:
            say(words[m[2]], f"{name}.{m[3]}")
    say(verdict(status), name)
    if status != 0:
        print(text[-20000:], flush=True)


def main():
    suite, seconds, leave, names = sys.argv[1], float(sys.argv[2]), sys.argv[3].split(), sys.argv[4:]
    os.makedirs(WORK, exist_ok=True)
    for name in names:
        mine = [c for c in leave if c.startswith(name + ".")]
        {"python": python, "go": go}[suite](name, seconds, mine)


main()
