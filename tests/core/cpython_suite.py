"""Run CPython's own tests of asyncio's subprocesses, as shipped with this interpreter, against one pair of factories.

    python cpython_suite.py asyncio|ipyproc|supervised

The last line is JSON: how many tests ran, and the names of those that did not pass.
"""

import asyncio
import functools
import importlib
import json
import sys
import unittest

import ipyproc
from ipyproc._core.process import process


def main(factories: str) -> None:
    suite_module = importlib.import_module("test.test_asyncio.test_subprocess")
    if factories != "asyncio":
        launcher = importlib.import_module(
            f"ipyproc._core.launch.{'portable' if factories == 'ipyproc' else factories}"
        )
        for module in (asyncio, asyncio.subprocess):
            module.create_subprocess_exec = functools.partial(process.start_exec, launcher)
            module.create_subprocess_shell = functools.partial(process.start_shell, launcher)
    made = []
    init = ipyproc.Process.__init__
    ipyproc.Process.__init__ = lambda self, *a, **k: (made.append(1), init(self, *a, **k))[1]
    suite = unittest.defaultTestLoader.loadTestsFromModule(suite_module)
    result = unittest.TextTestRunner(verbosity=0).run(suite)
    failed = sorted(test.id() for test, _ in result.failures + result.errors)
    print(json.dumps({"ran": result.testsRun, "skipped": len(result.skipped), "failed": failed, "made": len(made)}))


if __name__ == "__main__":
    main(sys.argv[1])
