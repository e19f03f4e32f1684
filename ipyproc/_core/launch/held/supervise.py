"""What the interpreter of a supervisor runs: `python -I -S supervise.py FD PID`, see `supervisor`.

The modules that it needs are standard library only, but the packages they lie in are not: those are stood in for here.
"""

import os
import sys
import types
from pathlib import Path

if __name__ == "__main__":
    del os.register_at_fork  # there are no threads, and what `threading` would do in each shim costs it 0.3 MB

    core = Path(__file__).absolute().parents[2]
    rooms = {"": core.parent, "._core": core} | {
        f"._core.{room}": core.joinpath(*room.split(".")) for room in ("launch", "launch.held", "output", "program")
    }
    for name, place in rooms.items():
        package = types.ModuleType(f"ipyproc{name}")
        package.__path__ = [str(place)]
        sys.modules[package.__name__] = package

    from ipyproc._core.launch.held import supervisor  # late: it can be found only now

    supervisor.main(int(sys.argv[1]), int(sys.argv[2]))
