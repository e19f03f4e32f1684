"""Run CPython's own tests of asyncio's subprocesses, as shipped with this interpreter, against one pair of factories.

    python cpython_suite.py asyncio|ipyproc

The last line is JSON: how many tests ran, and the names of those that did not pass.
"""

import asyncio
import importlib
import json
import sys
import unittest

import ipyproc


def main(factories: str) -> None:
    suite_module = importlib.import_module("test.test_asyncio.test_subprocess")
    if factories == "ipyproc":
        for module in (asyncio, asyncio.subprocess):
            module.create_subprocess_exec = ipyproc.create_subprocess_exec
            module.create_subprocess_shell = ipyproc.create_subprocess_shell
    made = []
    init = ipyproc.Process.__init__
    ipyproc.Process.__init__ = lambda self, *a, **k: (made.append(1), init(self, *a, **k))[1]
    suite = unittest.defaultTestLoader.loadTestsFromModule(suite_module)
    result = unittest.TextTestRunner(verbosity=0).run(suite)
    failed = sorted(test.id() for test, _ in result.failures + result.errors)
    print(json.dumps({"ran": result.testsRun, "skipped": len(result.skipped), "failed": failed, "made": len(made)}))


if __name__ == "__main__":
    main(sys.argv[1])
