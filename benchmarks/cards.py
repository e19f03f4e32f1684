"""What ten programs cost that write a line a second, while somebody looks on: CPU of page, kernel and shims, and long tasks.

.venv/bin/python -m benchmarks.cards [seconds]
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import psutil
from playwright.sync_api import Browser

from tests.browser.lab import LabServer, chromium, lab_server

from .page import BenchPage

TICKING = "seq 50; while true; do date; sleep 1; done"  # a log that is full, as it is most of the time
START = f"import ipyproc\nps = [await ipyproc.start('sh', '-c', {TICKING!r}, name=f'job {{n}}') for n in range(10)]"
VIEW = "for p in ps: p.view()"
CONTENDERS = {  # cells, in a page of their own
    "nothing": [],
    "ten cards in one cell": [START, VIEW],
    "ten cards, unfolded": [START, *(f"ps[{n}].view()" for n in range(10))],
    "ten `ipywidgets.Output`": [
        "import ipywidgets, threading, time, datetime\n"
        "def tick(out):\n    while True:\n        out.append_stdout(f'{datetime.datetime.now()}\\n'); time.sleep(1)\n"
        "outs = [ipywidgets.Output() for _ in range(10)]\nfor out in outs: display(out)\n"
        "for n, out in enumerate(outs): time.sleep(0.1); threading.Thread(target=tick, args=(out,), daemon=True).start()",
    ],
    "a card that writes ten lines a second": ["%aproc --bg sh -c 'seq 50; while true; do date; sleep 0.1; done'"],
}


def cpu(pid: int) -> float:
    """Seconds that all threads of a process took, exactly: the clock of another process (clock_getcpuclockid(3))."""
    return time.clock_gettime((~pid << 3) | 2)


def helpers(kernel: psutil.Process) -> list[int]:
    """The supervisor and the shims."""
    return [each.pid for each in kernel.children(recursive=True) if each.name().startswith("ipyproc-")]


def server_and_kernel() -> tuple[psutil.Process, psutil.Process]:
    """JupyterLab and its one kernel."""
    [server] = [each for each in psutil.Process().children() if "jupyterlab" in each.cmdline()]
    [kernel] = [each for each in server.children() if "ipykernel_launcher" in each.cmdline()]
    return server, kernel


def measure(server: LabServer, browser: Browser, cells: list[str], seconds: float) -> dict[str, float]:
    """Percent of a core, and the longest task in ms."""
    page = BenchPage(server, browser, [], cells)
    page.page.set_viewport_size({"width": 1000, "height": 1400})
    for number in range(1, 1 + len(cells)):
        page.lab.run(number)
        page.lab.expect_done(number)
    page.page.locator(".jp-Notebook").evaluate("(box) => document.activeElement.blur()")
    page.page.wait_for_timeout(5000)  # all of them come to their pace
    page.page.evaluate("bench.frame = () => {}; bench.reset()")
    lab, kernel = server_and_kernel()
    pids = {"page": [page.renderer], "kernel": [kernel.pid], "shims": helpers(kernel), "server": [lab.pid]}
    before = {name: sum(map(cpu, each)) for name, each in pids.items()}
    began = time.monotonic()
    page.page.wait_for_timeout(1000 * seconds)
    took = time.monotonic() - began
    found = {name: 100 * (sum(map(cpu, each)) - before[name]) / took for name, each in pids.items()}
    found["longest task"] = max(page.page.evaluate("bench.tasks"), default=0)
    page.close()
    return found


def main(seconds: float) -> None:
    """Prints a row for each contender."""
    print("| | page % | kernel % | shims % | server % | longest task ms |")
    print("| --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder, lab_server(Path(folder)) as server, chromium() as browser:
        for name, cells in CONTENDERS.items():
            found = measure(server, browser, cells, seconds)
            print(f"| {name} |", " | ".join(f"{value:.1f}" for value in found.values()), "|", flush=True)


if __name__ == "__main__":
    main(float(sys.argv[1]) if sys.argv[1:] else 30)
