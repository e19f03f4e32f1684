"""Run CPython's own tests of asyncio's subprocesses, as shipped with this interpreter, against one pair of factories.

    python cpython_suite.py asyncio|ipyproc|supervised

The last line is JSON: how many tests ran, and the names of those that did not pass.
"""

import asyncio
import importlib
import json
import sys
import unittest

import ipyproc
from ipyproc._core.program.spec import Spec
from ipyproc._core.program.streams import Streams


async def supervised_exec(*args, stdin=None, stdout=None, stderr=None, limit=2**16, shell=False, **others):
    """Asyncio's factory, as far as a `Spec` can say what is asked for."""
    from ipyproc._core.launch import supervised  # late: Linux only

    cwd, env = others.pop("cwd", None), others.pop("env", None)
    others.pop("start_new_session", None)  # it has one always
    if wrong := [name for name, value in others.items() if value or name == "text"]:
        raise ValueError(f"{wrong}: a Spec does not know them")
    spec = Spec.of(
        *(args if shell else [args]), shell=shell, stdin=stdin, stdout=stdout, stderr=stderr, cwd=cwd, env=env
    )
    streams = Streams(limit, None, ())
    return ipyproc.Process(await supervised.start(spec, streams, None), streams)


async def supervised_shell(cmd, **keywords):
    """The same for a line."""
    return await supervised_exec(cmd, shell=True, **keywords)


def main(factories: str) -> None:
    suite_module = importlib.import_module("test.test_asyncio.test_subprocess")
    if factories != "asyncio":
        run, line = (
            (ipyproc.create_subprocess_exec, ipyproc.create_subprocess_shell)
            if factories == "ipyproc"
            else (supervised_exec, supervised_shell)
        )
        for module in (asyncio, asyncio.subprocess):
            module.create_subprocess_exec, module.create_subprocess_shell = run, line
    made = []
    init = ipyproc.Process.__init__
    ipyproc.Process.__init__ = lambda self, *a, **k: (made.append(1), init(self, *a, **k))[1]
    suite = unittest.defaultTestLoader.loadTestsFromModule(suite_module)
    result = unittest.TextTestRunner(verbosity=0).run(suite)
    failed = sorted(test.id() for test, _ in result.failures + result.errors)
    print(json.dumps({"ran": result.testsRun, "skipped": len(result.skipped), "failed": failed, "made": len(made)}))


if __name__ == "__main__":
    main(sys.argv[1])
