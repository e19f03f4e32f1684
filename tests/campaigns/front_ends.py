"""What people see in each front end that is installed: how soon the first line, the card, the prompt; whether each line is there once.

python -m tests.campaigns.front_ends [WORD ...]     those whose names have one of these words, else all

The program writes eight lines, each with the time at which it was written. `first`: from then until the line is to be
seen; `card`: from the first line to the card; `prompt`: from the last line to the next prompt. All in seconds.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import pty
import re
import secrets
import select
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.session import Session

from ..jupyter.kernel_session import KernelSession, connected, kernel_session
from ..ports import free_port

PROGRAM = (
    '%aproc --name lines sh -c \'echo "line 0 $(date +%s.%N)"; '
    'for n in 1 2 3 4 5 6 7; do sleep 0.25; echo "line $n $(date +%s.%N)"; done\''
)
LINE = re.compile(r"line (\d) (\d+\.\d+)")
PATIENCE = 60.0  # seconds


@dataclass
class Seen:
    """What was to be seen of one program, by the clock of `time.time()`."""

    text: str = ""  # all that stood there at the end
    first: float = 0.0  # when the first line was there
    card: float | None = None
    prompt: float = 0.0
    saved: str | None = None  # what is in the file

    def take(self, more: str) -> None:
        """This has come just now."""
        self.text += more
        if not self.first and LINE.search(self.text):
            self.first = time.time()

    def __str__(self) -> str:
        lines = LINE.findall(self.text if self.saved is None else self.saved)
        if not lines or not self.first:
            return f"nothing was seen: {self.text[-300:]!r}"
        written = [float(at) for _, at in lines]
        numbers = "".join(number for number, _ in lines)
        card = "text  " if self.card is None else f"{self.card - written[0]:6.2f}"
        complete = "complete" if numbers == "01234567" else f"NOT COMPLETE: lines {numbers}"
        return f"{self.first - written[0]:6.3f} {card} {self.prompt - written[-1]:6.3f}  {complete}"


def kernel_client(kernel: KernelSession, page: str) -> Seen:
    """A client that hears what the kernel says, and ignores `update_display_data`."""
    seen = Seen()

    def look(message: dict[str, Any]) -> None:
        content = message["content"]
        if message["msg_type"] == "stream":
            seen.take(content["text"])
        elif message["msg_type"] == "display_data":
            seen.take(content["data"]["text/plain"])

    kernel.run(PROGRAM, page=page, on_message=look)
    seen.prompt = time.time()
    return seen


def text_client() -> Iterator[tuple[str, Seen]]:
    with kernel_session(page="") as kernel, connected(kernel.manager, Session) as client:
        for program in ("first", "second"):
            yield f"client in Python, {program} program", kernel_client(client, "")
    with kernel_session(page="") as kernel:
        for program in ("first", "second"):
            yield f"page that never answers, {program} program", kernel_client(kernel, "")


def terminal(*command: str, prompt: str) -> Iterator[tuple[str, Seen]]:
    """A real terminal front end, beside a page of the same kernel."""
    with kernel_session() as kernel:
        kernel.run("%aproc sleep 0.5")
        pid, file = pty.fork()
        if not pid:
            beside = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
            os.environ.update(TERM="xterm-256color", COLUMNS="160", LINES="50", PATH=beside)
            os.execvp(command[0], [*command, kernel.manager.connection_file])
        try:
            _until(file, re.compile(prompt), Seen())
            seen = Seen()
            os.write(file, f"{PROGRAM}\r".encode())
            time.sleep(0.2)
            os.write(file, b"\r")
            _until(file, re.compile(r"line 7 \d[\s\S]*?" + prompt), seen)
            seen.prompt = time.time()
            yield f"{command[0]} beside a page", seen
        finally:
            os.close(file)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)
            os.waitpid(pid, 0)


def _until(file: int, wanted: re.Pattern[str], seen: Seen) -> None:
    deadline = time.monotonic() + PATIENCE
    while not wanted.search(seen.text) and time.monotonic() < deadline:
        if select.select([file], [], [], 0.1)[0]:
            data = os.read(file, 1 << 16).decode(errors="replace")
            if "\x1b[6n" in data:
                os.write(file, b"\x1b[1;1R")  # it asks where the cursor is
            seen.take(re.sub(r"\x1b\[[\d;?]*[A-Za-z]|\x1b[()][A-Z0-9]|\r", "", data))


WATCH = r"""([prompt, count]) => {
  const seen = (window.seen = { text: '' });
  const look = () => {
    const now = (performance.timeOrigin + performance.now()) / 1000;
    if (/line 0 \d/.test(document.body.innerText)) seen.first ??= now;
    if (document.querySelector('.ipyproc-card')) seen.card ??= now;
    const text = document.querySelectorAll(prompt)[count]?.textContent ?? '';
    if (text.includes('*')) seen.busy = true;
    if (seen.busy && /\[\d+\]/.test(text)) seen.prompt ??= now;
  };
  new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true });
}"""
LATE = """
globalThis.late = 0;
globalThis.WebSocket = class extends WebSocket {
  send(data) { if (late) setTimeout(() => super.send(data), late); else super.send(data); }
  set onmessage(call) { super.onmessage = (event) => (late ? setTimeout(() => call(event), late) : call(event)); }
};
"""


@dataclass
class Server:
    """A Jupyter server in a directory of its own."""

    root: Path
    url: str
    token: str

    def write(self, cells: list[str]) -> str:
        """The name of a notebook with these cells."""
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
        notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
        name = f"n{secrets.token_hex(3)}.ipynb"
        nbformat.write(notebook, self.root / name)
        return name


@contextlib.contextmanager
def server(module: str, *words: str) -> Iterator[Server]:
    """Until it answers."""
    root, port, token = Path(tempfile.mkdtemp(prefix="front-ends-")), free_port(), secrets.token_hex(16)
    made = Server(root, f"http://127.0.0.1:{port}", token)
    command = [sys.executable, "-m", module, "--no-browser", "--allow-root", f"--ServerApp.port={port}", *words]
    command += ["--ServerApp.ip=127.0.0.1", f"--ServerApp.root_dir={root}", "--ServerApp.port_retries=0"]
    with (root / ".log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, cwd=root, env={**os.environ, "JUPYTER_TOKEN": token}
        )
    try:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                urllib.request.urlopen(f"{made.url}/api/status?token={token}").close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError((root / ".log").read_text()[-2000:]) from None
                time.sleep(0.1)
        yield made
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(root, ignore_errors=True)


@dataclass
class Kind:
    """How a page is opened and run: where it is, its prompts, and the JavaScript that runs a cell."""

    path: str
    prompt: str
    ready: str
    run: str
    save: str
    setup: Callable[[Any], object] = field(default=lambda page: None)


LAB = Kind(
    "lab/tree/{}?reset&",
    ".jp-Notebook .jp-InputPrompt",
    "window.jupyterapp?.shell.currentWidget?.context?.sessionContext.session?.kernel?.status === 'idle'",
    "async (n) => { const { commands, shell } = jupyterapp; const notebook = shell.currentWidget.content;"
    " notebook.activeCellIndex = n; notebook.deselectAll(); await commands.execute('notebook:run-cell'); }",
    "jupyterapp.commands.execute('docmanager:save')",
)
CLASSIC = Kind(
    "nbclassic/notebooks/{}?",
    ".code_cell .input_prompt",
    "window.Jupyter?.notebook?.kernel?.is_connected() && !!document.querySelector('.kernel_idle_icon')",
    "async (n) => { Jupyter.notebook.execute_cells([n]); }",
    "Jupyter.notebook.save_notebook()",
)


def pages(name: str, module: str, kind: Kind, *words: str, tabs: int = 1, late: int = 0) -> Iterator[tuple[str, Seen]]:
    """One notebook with two programs, in a real page, or in two at once."""
    from ..browser.lab import chromium

    with server(module, *words) as running, chromium() as browser:
        path = running.write(["%load_ext ipyproc", PROGRAM, PROGRAM])
        context = browser.new_context(viewport={"width": 1000, "height": 900})
        opened = []
        for _ in range(tabs):
            page = context.new_page()
            page.add_init_script(LATE)
            kind.setup(page)
            page.goto(f"{running.url}/{kind.path.format(path)}token={running.token}")
            page.wait_for_function(kind.ready, timeout=PATIENCE * 1000)
            opened.append(page)
        page = opened[0]
        page.evaluate("(ms) => { late = ms; }", late)
        for number, program in enumerate(("", "first", "second")):
            page.evaluate(WATCH, [kind.prompt, number])
            page.evaluate(f"(n) => {{ ({kind.run})(n); }}", number)
            page.wait_for_function("seen.prompt", timeout=PATIENCE * 1000)
            if not program:
                page.wait_for_timeout(1000)
                continue
            found = page.evaluate("seen")
            page.wait_for_timeout(500 + 2 * late)
            page.evaluate(kind.save)
            page.wait_for_timeout(2000 + 2 * late)
            outputs = json.loads((running.root / path).read_text())["cells"][number]["outputs"]
            texts = [each["text"] if "text" in each else each.get("data", {}).get("text/plain", "") for each in outputs]
            saved = "\n".join("".join(text) for text in texts)
            yield (
                f"{name}, {program} program",
                Seen(saved, found.get("first", 0.0), found.get("card"), found["prompt"], saved),
            )


def without_code(page: Any) -> None:
    """As if the server had no anywidget."""
    page.route("**/extensions/anywidget/**", lambda route: route.abort())


def other_kernel(name: str) -> Iterator[tuple[str, Seen]]:
    """Another kernel, with a client in Python."""
    from jupyter_client.manager import KernelManager

    manager = KernelManager(kernel_name=name)
    manager.start_kernel()
    try:
        with connected(manager, Session) as client:
            client.run("%load_ext ipyproc", page="")
            for program in ("first", "second"):
                yield f"{name}, {program} program", kernel_client(client, "")
    finally:
        manager.shutdown_kernel(now=True)


def engine() -> Iterator[tuple[str, Seen]]:
    """An engine of ipyparallel."""
    import ipyparallel

    with ipyparallel.Cluster(n=1, log_level=40) as cluster:
        view = cluster[:]
        view.execute("%load_ext ipyproc", block=True)
        for program in ("first", "second"):
            seen = Seen()
            work = view.execute(PROGRAM, silent=False, block=False)
            while not work.ready():
                work.wait(0.02)
                text = "".join(work.stdout)
                if len(text) > len(seen.text):
                    seen.take(text[len(seen.text) :])
            seen.prompt = time.time()
            work.get()
            seen.take("".join(work.stdout)[len(seen.text) :])
            yield f"engine of ipyparallel, {program} program", seen


def front_ends() -> dict[str, Callable[[], Iterator[tuple[str, Seen]]]]:
    """By their names; only those that are installed."""
    has = importlib.util.find_spec
    plain = ("--LabApp.expose_app_in_browser=True", "--LabApp.news_url=")
    lab = ("jupyterlab", LAB, *plain)
    without = Kind(**{**vars(LAB), "setup": without_code})
    found: dict[str, Callable[[], Iterator[tuple[str, Seen]]] | None] = {
        "client": text_client,
        "console": lambda: terminal("jupyter-console", "--existing", prompt=r"In \[\d+\]: "),
        "euporie": lambda: terminal("euporie-console", "--connection-file", prompt=r"In \[\d*\s?\]"),
        "lab": lambda: pages("JupyterLab", *lab),
        "without": lambda: pages("JupyterLab without the code of anywidget", "jupyterlab", without, *plain),
        "late": lambda: pages("JupyterLab, messages 3 s late", *lab, late=1500),
        "collaboration": lambda: pages("two pages, jupyter-collaboration", *lab, tabs=2),
        "classic": lambda: pages("nbclassic", "nbclassic", CLASSIC),
        "xeus": lambda: other_kernel("xpython"),
        "engine": engine,
    }
    needs = {
        "console": "jupyter_console",
        "euporie": "euporie",
        "lab": "jupyterlab",
        "without": "jupyterlab",
        "late": "jupyterlab",
        "collaboration": "jupyter_collaboration",
        "classic": "nbclassic",
        "xeus": "xeus_python_shell",
        "engine": "ipyparallel",
    }
    return {name: run for name, run in found.items() if run and (name not in needs or has(needs[name]))}


def run(name: str) -> list[str]:
    """Run one of them in a Python of its own; what was not complete."""
    words = [sys.executable, "-m", __name__, name]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    _, *lines = done.stdout.splitlines() or [""]
    return [line for line in lines if not line.endswith("  complete")] if lines else [f"{name}: {done.stderr}"]


def main() -> None:
    """Print a line for each."""
    words = sys.argv[1:]
    print(f"{'':52} {'first':>6} {'card':>6} {'prompt':>6}")
    for name, run in front_ends().items():
        if words and not any(word in name for word in words):
            continue
        try:
            for what, seen in run():
                print(f"{what:52} {seen}", flush=True)
        except Exception as error:  # noqa: BLE001  -- the others are to be tried all the same
            print(f"{name:52} {type(error).__name__}: {str(error)[:300]}", flush=True)


if __name__ == "__main__":
    main()
