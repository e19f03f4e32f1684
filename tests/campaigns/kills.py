"""Kill kernels, and with them their guards, at any moment, and count what is left of their programs.

python -m tests.campaigns.kills --count 500
python -m tests.campaigns.kills --peers         how many of a family of six `!` and `%%bash` leave behind, and `%%aproc`
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter

import psutil
from jupyter_client.manager import KernelManager

from ..conftest import PROGRAM
from ..hostile_family import KERNEL, marked, script_of

GUARDS = ("nobody", "supervisor killed", "supervisor stopped", "shim killed", "shim stopped")
PATIENCE = 5.0  # seconds; what lives on then has survived
PEERS = ("%%aproc\nsh {}", "%%aproc --bg\nsh {}", "!sh {}", "%%bash\nsh {}", "%%bash --bg\nsh {}")
ENDS = {
    "kernel killed": lambda kernel: os.kill(kernel.provisioner.pid, signal.SIGKILL),  # as the OOM killer does
    "kernel restarted": lambda kernel: kernel.restart_kernel(),
    "cell interrupted": lambda kernel: kernel.interrupt_kernel(),
}


def main() -> int:
    """Run the campaign and print its figures; 1 if anything has survived."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--peers", action="store_true")
    arguments = parser.parse_args()
    if arguments.peers:
        for cell in PEERS:
            ends = [end for end in ENDS if end != "cell interrupted" or "--bg" not in cell]
            print(
                f"{cell.split(chr(10))[0]:14}",
                *(f"{end}: {left_by(cell, end)} of 6" for end in ends),
                sep="  ",
                flush=True,
            )
        return 0
    random.seed(arguments.seed)
    started, survivors, took = Counter[str](), Counter[str](), list[float]()
    for number in range(arguments.count):
        what = "while it starts" if number % 2 else random.choice(GUARDS)
        there, left, seconds = kill_one(what)
        started[what] += there
        survivors[what] += left
        took.append(seconds)
    print(
        f"{arguments.count} kernels killed, {started.total()} processes that were there, {survivors.total()} survivors"
    )
    for what, there in started.items():
        print(f"  {what}: {there} processes, {survivors[what]} survivors")
    took.sort()
    print(f"gone after (ms): median {took[len(took) // 2] * 1000:.0f}, most {took[-1] * 1000:.0f}")
    return 1 if survivors.total() else 0


def kill_one(what: str) -> tuple[int, int, float]:
    """Kill a kernel with a family; how many processes there were, how many have survived, after what time all were gone."""
    marker = f"family-{secrets.token_hex(8)}"
    script = script_of(" ".join((sys.executable, "-I", "-S", str(PROGRAM))), marker, stubborn=random.random() < 0.5)
    words = [sys.executable, "-c", KERNEL, script, marker]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as kernel:
        assert kernel.stdout
        stopped = 0
        if what == "while it starts":
            wanted = random.randrange(6)
            with contextlib.suppress(subprocess.TimeoutExpired):
                kernel.wait(random.uniform(0.0, 0.3))
            while (there := len(marked(marker))) < wanted:
                pass
        else:
            guards = dict(zip(("supervisor", "shim"), json.loads(kernel.stdout.readline()), strict=True))
            there = len(marked(marker))
            if what != "nobody":
                guard, how = what.split()
                os.kill(guards[guard], signal.SIGKILL if how == "killed" else signal.SIGSTOP)
                stopped = guards[guard] if how == "stopped" else 0
        began = time.monotonic()
        kernel.kill()
    while (left := marked(marker)) and time.monotonic() < began + PATIENCE:
        psutil.wait_procs(left, timeout=0.005)
    seconds = time.monotonic() - began
    for each in left:
        each.kill()
    with contextlib.suppress(ProcessLookupError):
        if stopped:
            os.kill(stopped, signal.SIGCONT)
    return there, len(left), seconds


def left_by(cell: str, end: str) -> int:
    """How many of a family of six, started by a cell of a real kernel, live on after this end."""
    marker = f"family-{secrets.token_hex(8)}"
    with tempfile.NamedTemporaryFile("w", suffix=".sh") as script:
        script.write(script_of(" ".join((sys.executable, "-I", "-S", str(PROGRAM))), marker))
        script.flush()
        kernel = KernelManager(kernel_name="python3")
        kernel.start_kernel(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        client = kernel.client()
        client.start_channels()
        client.wait_for_ready()
        for code in ("%load_ext ipyproc", cell.format(script.name)):
            client.execute(code)
        while len(marked(marker)) < 6:
            time.sleep(0.05)
        ENDS[end](kernel)
        began = time.monotonic()
        while (left := marked(marker)) and time.monotonic() < began + 2 * PATIENCE:  # the stop ladder takes one
            time.sleep(0.05)
        for each in left:
            each.kill()
        client.stop_channels()
        kernel.shutdown_kernel(now=True)
    return len(left)


if __name__ == "__main__":
    sys.exit(main())
