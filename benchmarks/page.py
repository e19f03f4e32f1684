"""The same in a JupyterLab page, in headless Chromium, with the server's default settings."""

from __future__ import annotations

import contextlib
import itertools
import math
import re
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from playwright.sync_api import Browser, Error, Locator, expect

from tests.browser.lab import LabPage, LabServer, chromium, lab_server

from .contenders import OURS, TOOLS, cell, filled
from .report import ALONE, MIB, Target

CAP_MS = 20_000
IDLE_MS = 10_000
TICKING = "while true; do date; sleep 1; done"
LIMITED = "%config AProcMagics.log_limit = 100_000_000"
PROBE = """
window.bench = { tasks: [], frames: [], pressed: 0, ended: 0 };
new PerformanceObserver((list) => bench.tasks.push(...list.getEntries().map((task) => task.duration)))
  .observe({ type: 'longtask' });
bench.frame = (now) => { bench.frames.push(now); requestAnimationFrame(bench.frame) };
requestAnimationFrame(bench.frame);
bench.reset = () => { bench.tasks = []; bench.frames = []; bench.pressed = bench.ended = 0 };
addEventListener('keydown', (event) => { if (event.key === 'Enter') bench.pressed = performance.now() }, true);
bench.until = (condition) => {
  const timer = setInterval(() => {
    if (!bench.pressed || !condition()) return;
    bench.ended = performance.now();
    clearInterval(timer);
  }, 4);
};
bench.stop = (button) => new Promise((resolve) => {
  const card = button.closest('.ipyproc-card');
  const running = () => card.isConnected && card.querySelector('[role=status]').textContent === 'Running';
  bench.pressed = performance.now();
  button.click();
  bench.until(() => !running() && (resolve(performance.now() - bench.pressed), true));
});
"""


@dataclass
class PageSample:
    """What one cell cost the page."""

    name: str
    seconds: float
    tasks: list[float]  # ms of each long task
    frames: list[float]  # ms between two frames
    memory: int  # by which the renderer grew, at its most
    heap: float  # by which the page's heap is larger afterwards, garbage collected
    limited: int  # how often the server has dropped messages
    late: bool = False

    def __str__(self) -> str:
        taken = f"not in {self.seconds:.0f}" if self.late else f"{self.seconds:.3f}"
        longest, frame = max(self.tasks, default=0), percentile(self.frames, 0.99)
        return (
            f"| {self.name} | {taken} | {len(self.tasks)} | {sum(self.tasks):.0f} | {longest:.0f} | {frame:.0f} "
            f"| {self.memory / MIB:.1f} | {self.heap / MIB:.1f} | {self.limited} |"
        )


class BenchPage:
    """A notebook in a page of its own, with the probe in it."""

    def __init__(self, server: LabServer, browser: Browser, before: list[str], cells: list[str]) -> None:
        context = browser.new_context(viewport={"width": 1000, "height": 760})
        others = renderers(browser)
        self.page = context.new_page()
        self.page.add_init_script(PROBE)
        self._server = server
        path = server.write(f"bench-{time.monotonic_ns()}.ipynb", ["%load_ext ipyproc", *before, *cells])
        self.lab = LabPage(server, self.page, path).open()
        self.renderer = max(renderers(browser) - others)
        for number in range(1 + len(before)):
            self.lab.run(number)
            self.lab.expect_done(number)
        self.page.wait_for_timeout(1500)  # JupyterLab comes to rest

    def run(self, name: str, number: int) -> PageSample:
        """Run a cell, up to the moment when its prompt has a number."""
        log = self._server.root / ".server.log"
        limited = log.read_text().count("rate exceeded")
        prompt = f".jp-Notebook .jp-Cell[data-windowed-list-index='{number}'] .jp-InputPrompt"
        self.lab.cell(number).locator(".cm-content").click()
        self.page.evaluate(
            f'bench.reset(); bench.until(() => /\\d/.test(document.querySelector("{prompt}")?.textContent))'
        )
        heap = self.heap()
        with self.memory() as memory:
            self.page.keyboard.press("Control+Enter")
            try:
                self.page.wait_for_function("bench.ended", timeout=CAP_MS)
                self.page.wait_for_timeout(500)  # what it causes comes after it
                found = self.page.evaluate("({...bench})")
                heap = self.heap() - heap
            except Error:  # it does not answer, or only the cell goes on
                psutil.Process(self.renderer).kill()
                found = {"tasks": [], "frames": [], "pressed": 0, "ended": CAP_MS}
                heap = math.nan
        seconds = (found["ended"] - found["pressed"]) / 1000
        limited = log.read_text().count("rate exceeded") - limited
        frames = gaps(found["frames"])
        return PageSample(name, seconds, found["tasks"], frames, memory[0], heap, limited, late=not found["pressed"])

    def heap(self) -> float:
        """Bytes of the page's JavaScript objects that are in use."""
        session = self.page.context.new_cdp_session(self.page)
        session.send("HeapProfiler.collectGarbage")
        used: float = session.send("Runtime.getHeapUsage")["usedSize"]
        session.detach()
        return used

    @contextlib.contextmanager
    def memory(self) -> Iterator[list[int]]:
        """How much the renderer grows meanwhile, at its most."""
        process, ended = psutil.Process(self.renderer), threading.Event()
        before = process.memory_info().rss
        most = [0]

        def look() -> None:
            with contextlib.suppress(psutil.NoSuchProcess):
                while not ended.wait(0.05):
                    most[0] = max(most[0], process.memory_info().rss - before)

        looking = threading.Thread(target=look)
        looking.start()
        yield most
        ended.set()
        looking.join()

    def cpu(self) -> float:
        """Percent of a core that the renderer takes when nobody touches the page; without the probe's own frames."""
        self.page.evaluate("bench.frame = () => {}")
        process, began = psutil.Process(self.renderer), time.monotonic()
        before = sum(process.cpu_times()[:2])
        self.page.wait_for_timeout(IDLE_MS)
        return 100 * (sum(process.cpu_times()[:2]) - before) / (time.monotonic() - began)

    def card(self) -> Locator:
        """The last card of the page, in sight."""
        card = self.lab.cards.last
        card.scroll_into_view_if_needed()
        return card

    def close(self) -> None:
        """The page, its kernel, and what that has started."""
        for kernel in self._server.request("api/kernels"):
            self._server.request(f"api/kernels/{kernel['id']}", "DELETE")
        self.page.context.close()


def measure(folder: Path, alone: Callable[[str], float], targets: list[Target]) -> str:
    """All of it: a table, and more targets. `alone` gives the time of the program without a kernel."""
    lines = [
        "| in the page | seconds | long tasks | ms together | longest ms | frame p99 ms | renderer memory MiB "
        "| heap after GC MiB | times the server dropped |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    with lab_server(folder) as server, chromium() as browser:
        lines += map(str, flood(alone, targets, server, browser))
        lines += map(str, spread(targets, server, browser))
        ten_cards(targets, server, browser)
        fifty_cards(targets, server, browser, "sleep 600", "ten running")
        fifty_cards(targets, server, browser, TICKING, "ten writing a line a second")
        jump(targets, server, browser)
    return "\n".join(lines)


def flood(
    alone: Callable[[str], float], targets: list[Target], server: LabServer, browser: Browser
) -> list[PageSample]:
    """100 MiB as fast as they come."""
    words = f"lines {100 * MIB}"
    own_time = statistics.median(alone(words) for _ in range(5))
    names = ("nothing", OURS, "os.system", "asyncio, print(line)", "!cmd")
    samples = [one_cell(server, browser, f"100 MiB: `{name}`", cell(name, words)) for name in names]
    nothing, own = samples[:2]
    targets += [
        Target(f"page, 100 MiB: time of `{ALONE}`", 1.5, own.seconds / own_time, "x"),
        Target(
            "page, 100 MiB: the same without the time of an empty cell",
            1.5,
            (own.seconds - nothing.seconds) / own_time,
            "x",
        ),
        *limits("page, 100 MiB", own),
    ]
    return samples


def spread(targets: list[Target], server: LabServer, browser: Browser) -> list[PageSample]:
    """100 MiB in five seconds, so that the card is seen; next to a cell that only waits."""
    control = one_cell(server, browser, "5 s: `await asyncio.sleep(5)`", "import asyncio; await asyncio.sleep(5)")
    own = one_cell(server, browser, "100 MiB in 5 s: `%%aproc`", cell(OURS, f"spread {100 * MIB} 5"))
    targets += limits("page, 100 MiB in 5 s", own)
    return [control, own]


def limits(what: str, own: PageSample) -> list[Target]:
    return [
        Target(f"{what}: longest task", 50, max(own.tasks, default=0), " ms"),
        Target(f"{what}: renderer memory", 20, own.memory / MIB, " MiB"),
        Target(f"{what}: times the server dropped", 0, own.limited),
    ]


def one_cell(server: LabServer, browser: Browser, name: str, code: str) -> PageSample:
    """Warm up with a tiny program, then measure."""
    warm = "%%aproc\nsleep 0.5; seq 100; sleep 0.5"
    page = BenchPage(server, browser, [TOOLS.format(folder=str(server.root)), warm], [code])
    sample = page.run(name, 3)
    page.close()
    return sample


def ten_cards(targets: list[Target], server: LabServer, browser: Browser) -> None:
    """Ten floods at once: frames, and what Stop of a card in sight says."""
    code = filled("%aproc --bg {command}", "flood")
    page = BenchPage(server, browser, [LIMITED], [code] * 10)
    for number in range(2, 12):
        page.lab.run(number)
        page.lab.expect_done(number)
    page.page.evaluate("bench.reset()")
    page.page.wait_for_timeout(5000)
    found = page.page.evaluate("({...bench})")
    button = page.card().get_by_role("button", name=re.compile("^Stop"))
    answered = page.page.evaluate("(button) => bench.stop(button)", button.element_handle())
    page.close()
    targets += [
        Target("page, ten floods: p99 between frames", 50, percentile(gaps(found["frames"]), 0.99), " ms"),
        Target("page, ten floods: longest task", 50, max(found["tasks"], default=0), " ms"),
        Target("page, ten floods: Stop is answered", 500, answered, " ms"),
    ]


def fifty_cards(targets: list[Target], server: LabServer, browser: Browser, program: str, what: str) -> None:
    """Fifty cards in a page that was reloaded, so that they stay; ten still run."""
    start = f"for n in range(50): get_ipython().run_line_magic('aproc', '--bg sh -c \"{program}\"')"
    end = "import ipyproc\nfor each in ipyproc.processes()[10:]: await each.stop()"
    page = BenchPage(server, browser, [], [start, end])
    control = page.cpu()
    page.page.evaluate("bench.reset()")
    page.lab.run(1)
    expect(page.lab.cards).to_have_count(50)
    tasks = [page.page.evaluate("bench.tasks")]
    page.lab.save()
    page.lab.open()
    expect(page.lab.cards).to_have_count(50)
    page.lab.run(2)
    page.lab.expect_done(2)
    page.lab.cards.and_(page.page.locator("[data-state='running']")).first.scroll_into_view_if_needed()
    page.page.wait_for_timeout(IDLE_MS)  # JupyterLab comes to rest
    page.page.evaluate("bench.reset()")
    own = page.cpu()
    tasks.append(page.page.evaluate("bench.tasks"))
    page.page.evaluate("bench.reset()")
    for _ in range(30):
        page.page.mouse.wheel(0, 400)
        page.page.wait_for_timeout(50)
    tasks.append(page.page.evaluate("bench.tasks"))
    page.close()
    targets.append(Target(f"page, fifty cards, {what}: CPU at rest, beyond JupyterLab's", 5, own - control, " %"))
    for when, each in zip(("while they are made", "at rest", "while one scrolls"), tasks, strict=True):
        targets.append(Target(f"page, fifty cards, {what}: longest task {when}", 50, max(each, default=0), " ms"))


def jump(targets: list[Target], server: LabServer, browser: Browser) -> None:
    """To a line in the middle of ten million."""
    page = BenchPage(server, browser, [], [filled("%aproc {command}", "count 10000000")])
    page.lab.run(1)
    card = page.card()
    expect(card).to_contain_text("10,000,000 lines")
    log = card.get_by_role("log")
    seconds = []
    for line in (5_000_000, 2_500_000, 7_654_321, 1, 9_000_001):
        log.focus()
        page.page.keyboard.press("Control+f")
        card.get_by_placeholder("Find, or :123 for a line").fill(f":{line}")
        row = f"document.querySelector(\"[data-row='{line - 1}']\")?.textContent === 'line {line}'"
        page.page.evaluate(f"bench.reset(); bench.until(() => {row})")
        page.page.keyboard.press("Enter")
        page.page.wait_for_function("bench.ended", timeout=CAP_MS)
        seconds.append(page.page.evaluate("(bench.ended - bench.pressed) / 1000"))
        page.page.keyboard.press("Escape")
    page.close()
    targets += [
        Target("page: to line 5,000,000 of 10,000,000", 0.2, seconds[0], " s"),
        Target("page: to five lines of 10,000,000, the slowest", 0.2, max(seconds), " s"),
    ]


def renderers(browser: Browser) -> set[int]:
    """Their process numbers."""
    session = browser.new_browser_cdp_session()
    found: list[dict[str, Any]] = session.send("SystemInfo.getProcessInfo")["processInfo"]
    session.detach()
    return {process["id"] for process in found if process["type"] == "renderer"}


def gaps(times: list[float]) -> list[float]:
    return [after - before for before, after in itertools.pairwise(times)]


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else 0.0
