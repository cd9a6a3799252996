"""unittests.py RESULTS MODULE CASE...: one module of Python's own tests, without the CASEs."""
import sys
import traceback
import unittest

from test import support


class Results(unittest.TestResult):
    """Writes what becomes of each case as it happens: a case that is not told of
    after its start hangs."""

    def __init__(self, module, out):
        super().__init__()
        self.module, self.out, self.bad = module, out, False

    def name(self, test):
        case = getattr(test, "test_case", test)  # that of a subtest
        name = case.id() if isinstance(case, unittest.TestCase) else str(case)
        return name.removeprefix("test.")

    def say(self, verdict, test):
        self.out.write(f"{verdict} {self.name(test)}\n")
        self.out.flush()

    def startTest(self, test):
        super().startTest(test)
        self.bad = False
        self.say("hang", test)

    def addSuccess(self, test):
        if not self.bad:
            self.say("ok", test)

    def addSkip(self, test, reason):
        self.say("skip", test)
        print(f"--- {self.name(test)} skipped: {reason}", flush=True)

    def addExpectedFailure(self, test, err):
        self.say("ok", test)

    def addUnexpectedSuccess(self, test):
        self.say("bad", test)

    def addError(self, test, err):
        self.bad = True
        self.say("bad", test)
        print(f"--- {self.name(test)}\n" + "".join(traceback.format_exception(*err)), flush=True)

    addFailure = addError

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self.addError(subtest, err)


def cases(suite):
    for t in suite:
        if isinstance(t, unittest.TestSuite):
            yield from cases(t)
        else:
            yield t


def main():
    results, module, leave = sys.argv[1], sys.argv[2], set(sys.argv[3:])
    support.verbose = 0
    # Not the network, and not what fills disks.
    support.use_resources = ["cpu", "subprocess", "walltime"]
    with open(results, "a") as out:
        r = Results(module, out)
        try:
            found = unittest.defaultTestLoader.loadTestsFromName("test." + module)
        except unittest.SkipTest as e:
            print("skipped:", e)
            return
        unittest.TestSuite(c for c in cases(found) if r.name(c) not in leave).run(r)


main()
