"""A real kernel, driven by its messages, as a front end would."""

from __future__ import annotations

import ast
import itertools
import json
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import zmq
from jupyter_client.blocking import BlockingKernelClient
from jupyter_client.manager import KernelManager
from jupyter_client.session import Session

from ipyproc._jupyter.page import messages

# what this kernel's programs and their descendants are, by the supervisor and its shims; a shim that is made forks once in vain
PROGRAMS = (
    "import psutil; [each for found in [[each for child in psutil.Process().children() for each in ([child] if "
    "'supervise.py' not in ' '.join(child.cmdline()) else [program for shim in child.children() "
    "for program in shim.children(recursive=True)])]] "
    "for names in [{each.pid: each.info['name'] for each in psutil.process_iter(['name'])}] "
    "for each in found if names.get(each.pid, 'ipyproc-shim') != 'ipyproc-shim']"
)
SCHEMAS = {
    "Card": (messages.CardMessage, messages.CardShown),
    "ProcessWidget": (messages.CardMessage, messages.CardShown),
    "LiveTable": (messages.TableMessage, messages.TableShown),
    "JobsCard": (messages.JobsMessage, messages.Shown),
    "BatchWidget": (messages.JobsMessage, messages.Shown),
    "Greeting": (messages.GreetingMessage, messages.Shown),
}
PATIENCE = 60  # seconds that a loaded machine may take to answer


class PageMessages(Session):
    """Numbers its messages as a page does, and not as jupyter_client."""

    @property
    def msg_id(self) -> str:
        return str(uuid.uuid4())


@dataclass
class CellRun:
    """What came back from one cell."""

    request: str = ""  # the id of our request, which is the parent of what belongs to the cell
    reply: dict[str, Any] = field(default_factory=dict)
    messages: list[dict[str, Any]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)  # `time.monotonic()` of each message
    ended_at: float = 0.0
    strays: list[dict[str, Any]] = field(default_factory=list)  # what came meanwhile for other cells

    def of_type(self, *types: str) -> list[dict[str, Any]]:
        """The contents of the messages of these types."""
        return [message["content"] for message in self.messages if message["msg_type"] in types]

    def text(self, name: str = "stdout") -> str:
        """What the cell wrote to this stream; for stdout, what commands of some moments left as text is among it."""
        written: dict[Any, str] = {}  # in their order; a display by its id, for it may be replaced
        for number, message in enumerate(self.messages):
            content, kind = message["content"], message["msg_type"]
            if kind == "stream" and content["name"] == name:
                written[number] = content["text"]
            elif kind in ("display_data", "update_display_data") and name == "stdout":
                is_text = content["data"].get("text/html", "").startswith("<pre")
                place = content["transient"].get("display_id", number)
                written[place] = f"{content['data']['text/plain']}\n" if is_text else ""
        return "".join(written.values())

    @property
    def status(self) -> str:
        return self.reply["status"]

    @property
    def error(self) -> str:
        """`Name: message` of the error that ended the cell, or nothing."""
        return f"{self.reply['ename']}: {self.reply['evalue']}" if self.status == "error" else ""

    @property
    def value(self) -> str:
        """The text of the cell's result."""
        results = self.of_type("execute_result")
        return results[-1]["data"]["text/plain"] if results else ""

    @property
    def displays(self) -> list[dict[str, Any]]:
        """The data of what was displayed or replaced."""
        return [content["data"] for content in self.of_type("display_data", "update_display_data")]

    @property
    def cards(self) -> list[str]:
        """The ids of the widgets that were shown."""
        kind = "application/vnd.jupyter.widget-view+json"
        return [data[kind]["model_id"] for data in self.displays if kind in data]


class KernelSession:
    """A kernel and a client of it; `ipyproc` is loaded."""

    def __init__(self, manager: KernelManager, client: BlockingKernelClient) -> None:
        self.manager = manager
        self.client = client
        self.jobs: dict[str, str] = {}  # of each card
        self.schemas: dict[str, tuple[Any, Any]] = {}  # of each widget of ours: its messages and its state
        self.numbers = itertools.count(1)  # of the messages of the page

    def run(
        self,
        code: str,
        *,
        headless: bool = False,
        page: str = "page-1",
        on_message: Callable[[dict[str, Any]], None] | None = None,
        stop_on_error: bool = True,
        store_history: bool = True,
    ) -> CellRun:
        """Run a cell to its end. `headless`: without a person at the input, as nbclient asks for it.

        A card that is shown is answered as by a page of this name; none: there is no page.
        """
        request = self.client.execute(
            code, allow_stdin=not headless, stop_on_error=stop_on_error, store_history=store_history
        )
        done = CellRun(request)
        while True:
            message = self._next_message()
            ours = message["parent_header"].get("msg_id") == request
            if not ours and not message["msg_type"].startswith("comm_"):
                done.strays.append(message)
                continue
            done.messages.append(message)
            done.times.append(time.monotonic())
            if page:
                self.answer(message, page)
            if on_message:
                on_message(message)
            if ours and message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                break
        done.ended_at = time.monotonic()
        while done.reply == {}:
            reply = self.client.get_shell_msg(timeout=PATIENCE)
            if reply["parent_header"].get("msg_id") == request:
                done.reply = reply["content"]
        return done

    def json(self, expression: str) -> Any:
        """The value of an expression, which must be one that JSON has."""
        request = self.client.execute("", user_expressions={"x": f"__import__('json').dumps({expression})"})
        while True:
            reply = self.client.get_shell_msg(timeout=PATIENCE)
            if reply["parent_header"].get("msg_id") == request:
                return json.loads(ast.literal_eval(reply["content"]["user_expressions"]["x"]["data"]["text/plain"]))

    def eventually(self, code: str, value: str) -> bool:
        """Whether a cell's result becomes this: what follows the end of a cell is not there at once."""
        deadline = time.monotonic() + PATIENCE
        while (result := self.run(code).value) != value and time.monotonic() < deadline:
            self.run("await __import__('asyncio').sleep(0.05)")
        return result == value

    def interrupt_when(
        self, text: str, *, count: int = 1, times: int = 1, every: float = 0.3, after: float = 0.0
    ) -> Callable[[dict[str, Any]], None]:
        """For `on_message`: interrupt the kernel once the cell has shown this text, so many times."""
        seen: list[str] = []

        def interrupt() -> None:
            time.sleep(after)
            for _ in range(times):
                self.manager.interrupt_kernel()
                time.sleep(every)

        def look(message: dict[str, Any]) -> None:
            before = len(seen)
            if message["msg_type"] in ("stream", "display_data"):
                seen.extend([text] * json.dumps(message["content"], default=str).count(text))
            if before < count <= len(seen):
                threading.Thread(target=interrupt).start()

        return look

    def answer(self, message: dict[str, Any], page: str) -> None:
        """Say that the widget is there, and its view ready and drawn, once it was told its job."""
        content = message["content"]
        if message["msg_type"] in ("comm_open", "comm_msg"):
            job = content["data"].get("state", {}).get("shown", {}).get("job")
            if job and content["comm_id"] not in self.jobs:
                self.jobs[content["comm_id"]] = job
                has_view = self.schemas[content["comm_id"]][0] is not messages.GreetingMessage
                for operation in ("here", "ready", "shown") if has_view else ("here",):
                    self.comm(content["comm_id"], op=operation, job=job, page=page)

    def comm(self, card: str, **content: Any) -> None:
        """Send what the page of this card would send."""
        data = {
            "method": "custom",
            "content": {
                "page": "page-1",
                "n": next(self.numbers),
                "version": messages.VERSION,
                "as_text": False,
                "stream": 0,
                **content,
            },
        }
        message = self.client.session.msg("comm_msg", {"comm_id": card, "data": data})
        self.client.shell_channel.send(message)

    def idle_messages(self, until: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
        """What comes while no cell runs, up to the message for which `until` says so."""
        found = []
        while not found or not until(found[-1]):
            found.append(self._next_message())
        return found

    def _next_message(self) -> dict[str, Any]:
        """What comes next on iopub; what a widget of ours says is as the schema has it."""
        message: dict[str, Any] = self.client.get_iopub_msg(timeout=PATIENCE)
        if message["msg_type"] in ("comm_open", "comm_msg"):
            widget, data = message["content"]["comm_id"], message["content"]["data"]
            state = data.get("state", {})
            if "_anywidget_id" in state:
                self.schemas[widget] = SCHEMAS[state["_anywidget_id"].rpartition(".")[2]]
            if widget in self.schemas:
                said, shown = self.schemas[widget]
                assert data.get("method") != "custom" or messages.fits(data["content"], said), data["content"]
                assert not state.get("shown") or messages.fits(state["shown"], shown), state["shown"]
        return message


@contextmanager
def sockets() -> Iterator[dict[str, str]]:
    """Where a kernel listens, as keywords of its manager: a free port may be another program's before the kernel has it."""
    with tempfile.TemporaryDirectory(prefix="kernel-") as folder:
        yield {"transport": "ipc", "ip": f"{folder}/channel"}


@contextmanager
def kernel_session(*, load: bool = True, page: str = "page-1", **popen: Any) -> Iterator[KernelSession]:
    """Start a kernel with `ipyproc` loaded, unless told not to; shut it down.

    Args:
        page: has its widgets from the first; none: nobody answers.
        popen: keywords for its process.
    """
    with sockets() as where:
        manager = KernelManager(kernel_name="python3", **where)
        manager.start_kernel(**popen)
        try:
            with connected(manager) as session:
                if load:
                    loaded = session.run("%load_ext ipyproc", page=page)
                    assert loaded.status == "ok" and not loaded.of_type("stream", "display_data"), (
                        "loading prints nothing"
                    )
                yield session
        finally:
            if manager.has_kernel:
                manager.shutdown_kernel(now=False)


@contextmanager
def connected(manager: KernelManager, kind: type[Session] = PageMessages) -> Iterator[KernelSession]:
    """One more client of a kernel: a page, or with `Session` a client in Python."""
    client = manager.client()
    client.session = kind(key=manager.session.key, signature_scheme=manager.session.signature_scheme)
    client.context.setsockopt(
        zmq.RCVHWM, 0
    )  # all that we do not read at once is kept, as it would be in buffers of TCP
    client.start_channels()
    try:
        client.wait_for_ready(timeout=PATIENCE)
        yield KernelSession(manager, client)
    finally:
        client.stop_channels()
