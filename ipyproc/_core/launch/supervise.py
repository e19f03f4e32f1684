"""What the interpreter of a supervisor runs: `python -I -S supervise.py FD PID`, see `supervisor`.

The modules that it needs are standard library only, but the packages they lie in are not: those are stood in for here.
"""

import os
import sys
import types
from pathlib import Path

if __name__ == "__main__":
    del os.register_at_fork  # there are no threads, and what `threading` would do in each shim costs it 0.3 MB

    core = Path(__file__).absolute().parents[1]
    for name, place in (("ipyproc", core.parent), ("ipyproc._core", core), ("ipyproc._core.launch", core / "launch")):
        package = types.ModuleType(name)
        package.__path__ = [str(place)]
        sys.modules[name] = package

    from ipyproc._core.launch import supervisor  # late: it can be found only now

    supervisor.main(int(sys.argv[1]), int(sys.argv[2]))
