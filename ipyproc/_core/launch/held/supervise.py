"""What the interpreter of a supervisor runs: `python -I -S supervise.py FD PID`, see `supervisor`.

The modules that it needs are standard library only, but the packages they lie in are not: those are stood in for here.
"""

import os
import sys
import types

if __name__ == "__main__":
    del os.register_at_fork  # there are no threads, and what `threading` would do in each shim costs it 0.3 MB

    root = os.path.abspath(__file__).rsplit(os.sep, 4)[0]  # by hand: `pathlib` takes a tenth of the time of a start
    for room in ("", "._core", "._core.launch", "._core.launch.held", "._core.output", "._core.program"):
        package = types.ModuleType(f"ipyproc{room}")
        package.__path__ = [root + room.replace(".", os.sep)]
        sys.modules[package.__name__] = package

    from ipyproc._core.launch.held import supervisor  # late: it can be found only now

    supervisor.main(int(sys.argv[1]), int(sys.argv[2]))
