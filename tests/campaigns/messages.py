"""A page that forges messages to the cards of a kernel: nothing may come of any of them.

    python -m tests.campaigns.messages --count 10000

What is forged, at random (hypothesis): messages to the card of a live program and to that of one that has ended, with
the right id, that of another card or any other; changes of each trait; cards that the page itself opens. What would be
noticed: a signal to the program (it writes which it got), a change of what the card shows, a new program or card, an
answer to a card that is no comm message, a traceback of ours, a kernel that does not answer. That Jupyter logs what it
makes of a comm nobody knows is not ours.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ipyproc._jupyter.page.messages import VERSION

from ..jupyter.kernel_session import PATIENCE, PROGRAMS, KernelSession, kernel_session

BATCH = 100  # messages that are sent before their answers are read

LIVE = """%%aproc --bg --proc live {sys.executable}
import signal
for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
    signal.signal(number, lambda number, _: print("got", signal.Signals(number)))
print("ready")
while True:
    signal.pause()"""
ENDED = "%%aproc --proc ended\necho over; sleep 0.4"
STATE = f"""
def state():
    import ipywidgets
    cards = [each for each in ipywidgets.Widget.widgets.values() if type(each).__name__ == "Card"]
    times = ("elapsed", "sent_ago", "next_in")
    return {{
        "programs": [each.pid for each in {PROGRAMS.replace("import psutil; ", "")}],
        "live": [live.pid, live.returncode, live.ladder.sent, live.log.read().decode(), live.name],
        "ended": [ended.pid, ended.returncode, ended.log.read().decode(), ended.name],
        "cards": sorted([each.model_id, {{k: v for k, v in each.shown.items() if k not in times}}, each._esm,
                         each._model_name, each._view_name, each.layout.model_id, each.tooltip] for each in cards),
    }}
import psutil
"""
OURS = "ipyproc/_"  # in a traceback
SILENT = ("error", "stream", "display_data", "update_display_data", "execute_result", "clear_output")


@dataclass
class Report:
    """What came of a campaign."""

    sent: int = 0
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    shown: list[dict[str, Any]] = field(default_factory=list)  # what was said on iopub, comm messages apart
    log: str = ""  # the kernel's standard error
    seconds: float = 0.0

    @property
    def effects(self) -> list[str]:
        """What should not have come of it, in words."""
        found = [
            f"{key} was {value}, is {self.after[key]}" for key, value in self.before.items() if self.after[key] != value
        ]
        found += [f"on iopub: {message['msg_type']} {message['content']}" for message in self.shown]
        return found + [f"on standard error: {line}" for line in self.log.splitlines() if OURS in line]


def run(count: int) -> Report:
    """Forge so many messages."""
    with tempfile.TemporaryFile() as log, kernel_session(stderr=log) as kernel:
        kernel.run(f"import sys\n{STATE}")
        ended = kernel.run(ENDED).cards[0]
        live = kernel.run(LIVE).cards[0]
        while "ready\n" not in kernel.json("live.log.read().decode()"):
            time.sleep(0.01)
        report = Report(before=kernel.json("state()"))
        began = time.monotonic()
        with _sender(kernel, report) as send:

            @settings(max_examples=count, deadline=None, suppress_health_check=list(HealthCheck), database=None)
            @given(messages(kernel.jobs, live, ended))
            def forge(message: tuple[str, dict[str, Any], list[bytes]]) -> None:
                send(*message)

            forge()
        report.seconds = time.monotonic() - began
        report.after = kernel.json("state()")
        assert kernel.run("1 + 1").value == "2"
        kernel.run("await live.stop(0)")
        log.seek(0)
        report.log = log.read().decode(errors="replace")
    return report


@contextmanager
def _sender(kernel: KernelSession, report: Report) -> Iterator[Any]:
    """Sends a message; now and then, and at the end, reads what has come of them."""
    client = kernel.client
    to_cards = set()  # the ids of these messages

    def send(kind: str, content: dict[str, Any], buffers: list[bytes]) -> None:
        message = client.session.msg(kind, content, metadata={"version": "2.1.0"})
        message["buffers"] = buffers
        client.shell_channel.send(message)
        if content["comm_id"] in kernel.jobs:
            to_cards.add(message["header"]["msg_id"])
        report.sent += 1
        if report.sent % BATCH == 0:
            read()

    def read() -> None:
        request = client.kernel_info()
        while True:
            message = client.get_iopub_msg(timeout=PATIENCE)
            parent = message["parent_header"].get("msg_id")
            if message["msg_type"] in SILENT and (parent in to_cards or OURS in str(message["content"])):
                report.shown.append(message)
            if parent == request and message["content"].get("execution_state") == "idle":
                to_cards.clear()
                return

    yield send
    read()


# --- what is forged ----------------------------------------------------------------------------------------------

HARMLESS = [
    "ready",
    "code",
    "ping",
    "bye",
    "rows",
    "filter",
    "find",
    "text",
    "download",
    "state",
    "tail",
    "int",
    "stdin",
    "resize",
    "",
]
FATAL = ["stop", "kill", "interrupt", "terminate", "signal", "restart"]
KEYS = [
    *(
        "op",
        "job",
        "page",
        "n",
        "version",
        "view",
        "stream",
        "on",
        "first",
        "last",
        "count",
        "id",
        "text",
        "case",
        "at",
        "first_column",
        "last_column",
    ),
    *("pid", "signal", "returncode", "process", "method", "content", "state", "__class__"),
]
TRAITS = [
    *("shown", "_esm", "_css", "comm", "layout", "tooltip", "tabbable", "keys", "_dom_classes", "_view_count"),
    *("_model_module", "_model_name", "_view_module", "_view_name", "_anywidget_id", "_run", "period", "has_page"),
]
NAMES = [("anywidget", "AnyModel", "anywidget", "AnyView"), ("ipyproc", "Card", "ipyproc", "Card")]

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-5, 300)
    | st.integers(-(1 << 70), 1 << 70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from([*HARMLESS, *FATAL, "x" * 70, "y" * 2000, "IPY_MODEL_x"])
)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=8,
)
buffers = st.lists(st.binary(max_size=8), max_size=2)
more = st.dictionaries(st.sampled_from(KEYS), scalars, max_size=6)


def messages(jobs: dict[str, str], live: str, ended: str) -> st.SearchStrategy[tuple[str, dict[str, Any], list[bytes]]]:
    """(type, content, buffers) of messages; `jobs` are the ids that the cards go by."""
    others = [jobs[ended], jobs[live][:-1], jobs[live].upper(), "0" * 32, "", live]

    def said(operations: list[str], ids: list[Any]) -> st.SearchStrategy[dict[str, Any]]:
        def message(more: dict[str, Any], operation: str, job: Any) -> dict[str, Any]:
            number = next(
                numbers
            )  # as of a page that counts its messages; one of many, so that a wrong number spoils little
            return {
                "page": f"page-{number % 500}",
                "n": number,
                "version": VERSION,
                "as_text": False,
                **more,
                "op": operation,
                "job": job,
            }

        return st.builds(message, more, st.sampled_from(operations), st.sampled_from(ids))

    numbers = itertools.count(1000)
    to_live = anything | said(HARMLESS, [jobs[live]]) | said(FATAL + HARMLESS, [*others, None, 1, [jobs[live]]])
    to_ended = anything | said(FATAL + [each for each in HARMLESS if each != "bye"], [jobs[ended], jobs[live]])
    traits = st.dictionaries(st.sampled_from(TRAITS), anything, max_size=4)
    change = st.fixed_dictionaries({"method": st.just("update"), "state": traits | anything, "buffer_paths": anything})
    data = change | st.fixed_dictionaries({"method": st.sampled_from(["request_state", "echo_update", ""])}) | anything

    def custom(content: Any) -> dict[str, Any]:
        return {"method": "custom", "content": content}

    def comm(card: str, data: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
        return st.fixed_dictionaries({"comm_id": st.just(card), "data": data})

    to_card = comm(live, to_live.map(custom) | data) | comm(ended, to_ended.map(custom) | data)
    opened = st.builds(
        lambda names, traits, process, target, number: {
            "comm_id": f"forged-{number}",
            "target_name": target,
            "data": {
                "state": {
                    **dict(zip(("_model_module", "_model_name", "_view_module", "_view_name"), names, strict=True)),
                    "_model_module_version": "*",
                    "_view_module_version": "*",
                    "process": process,
                    **traits,
                },
                "buffer_paths": [],
            },
        },
        st.sampled_from(NAMES),
        traits,
        st.just(["touch", "forged"]) | anything,
        st.sampled_from(["jupyter.widget", "ipyproc", "jupyter.widget.control", "comm"]),
        st.integers(0, 9),
    )
    to_opened = st.builds(
        lambda number, content: {"comm_id": f"forged-{number}", "data": custom(content)}, st.integers(0, 9), to_live
    )
    closed = st.integers(0, 9).map(lambda number: {"comm_id": f"forged-{number}", "data": {}})
    return (
        st.tuples(st.just("comm_msg"), to_card, buffers)
        | st.tuples(st.just("comm_open"), opened, buffers)
        | st.tuples(st.just("comm_msg"), to_opened, buffers)
        | st.tuples(st.just("comm_close"), closed, buffers)
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000)
    done = run(parser.parse_args().count)
    print(f"{done.sent} messages in {done.seconds:.0f} s: {len(done.effects)} effects", *done.effects, sep="\n")
    raise SystemExit(bool(done.effects))
