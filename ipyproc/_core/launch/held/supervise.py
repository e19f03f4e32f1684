"""The script of a supervisor: `python -I -S supervise.py FD PID`, see `supervisor`.

The modules that it needs import the standard library only, but their packages import more: so empty ones replace them here.
"""

import os
import sys
import types

if __name__ == "__main__":
    del os.register_at_fork  # there are no threads, and the hook of `threading` would cost each shim 0.3 MB

    root = os.path.abspath(__file__).rsplit(os.sep, 4)[0]  # importing `pathlib` would take a tenth of the start's time
    for room in ("", "._core", "._core.launch", "._core.launch.held", "._core.output", "._core.program"):
        package = types.ModuleType(f"ipyproc{room}")
        package.__path__ = [root + room.replace(".", os.sep)]
        sys.modules[package.__name__] = package

    from ipyproc._core.launch.held import supervisor  # late: found only with these packages

    supervisor.main(int(sys.argv[1]), int(sys.argv[2]))
