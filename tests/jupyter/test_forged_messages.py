"""What a hostile page sends starts nothing, signals nothing, changes nothing, and keeps nobody from working."""

import pytest

from ..campaigns import messages
from .kernel_session import PROGRAMS

pytestmark = pytest.mark.pure


@pytest.fixture
def live(kernel):
    """The id of the card of a live program; after the test the program must be as alive as before."""
    kernel.run("if 'live' in globals(): await live.stop(0)")
    card = kernel.run("%aproc --bg --proc live {program} lines 100000 stall").cards[0]
    yield card
    assert kernel.run("live.returncode, live.ladder.sent").value == "(None, None)"
    assert kernel.run("await live.stop(0)").value == "-9"


def test_a_thousand_random_messages():
    report = messages.run(1000)
    assert report.sent >= 1000 and not report.effects, report.effects[:3]


def send(kernel, kind, content):
    kernel.client.shell_channel.send(kernel.client.session.msg(kind, content, metadata={"version": "2.1.0"}))


def test_a_card_that_a_page_opens_has_no_process(new_kernel):
    """A page gets no Card from ipywidgets, as the class is not registered; if it were, the card would be inert."""
    kernel = new_kernel  # it registers the class
    kernel.run(
        "from ipywidgets.widgets.widget import _instances, register; from ipyproc._jupyter.views.card import Card"
    )
    forged = "[each for each in _instances.values() if isinstance(each, Card) and each._run is None]"
    names = {"_model_module": "anywidget", "_model_name": "AnyModel", "_model_module_version": "*"}
    names |= {"_view_module": "anywidget", "_view_name": "AnyView", "_view_module_version": "*"}
    values = [["touch", "forged"], {"pid": 1, "job": "forged", "name": "running"}, "forged", 1, None]
    traits = [*kernel.json("list(Card.class_traits())"), "run", "streams", "display", "_run", "_job"]
    for made in (False, True):
        for number, trait in enumerate(traits):
            for value in values:
                card = f"forged-{number}-{value}"
                data = {"state": {**names, trait: value}, "buffer_paths": []}
                send(kernel, "comm_open", {"comm_id": card, "target_name": "jupyter.widget", "data": data})
                for operation in ("ready", "kill", "rows"):
                    kernel.comm(card, op=operation, job="forged", first=0, count=1)
        assert kernel.run(PROGRAMS).value == "[]"
        assert bool(kernel.json(f"len({forged})")) == made
        if not made:
            kernel.run("register(Card)")
    assert kernel.run(
        f"{{repr(each) for each in {forged}}}, [each.shown for each in {forged} if each.shown]"
    ).value == ("({'<Card without a process>'}, [])")


def test_a_card_of_another_kernel_cannot_be_reached(kernel, fresh_kernel, live):
    for operation in ("kill", "stop"):
        fresh_kernel.comm(live, op=operation, job=kernel.jobs[live])
    assert fresh_kernel.run("1 + 1").value == "2"


FLOOD = """
import asyncio, os, psutil, time
lags, began = [], time.monotonic()
async def tick():
    while True:
        due = time.monotonic() + 0.01
        await asyncio.sleep(0.01)
        lags.append(time.monotonic() - due)
ticking = asyncio.create_task(tick())
before = psutil.Process().memory_info().rss
"""
MEASURED = (
    "[sorted(lags)[len(lags) * 99 // 100], psutil.Process().memory_info().rss - before, time.monotonic() - began]"
)
QUESTIONS = (
    *[{"op": "rows", "first": 50_000, "count": 200}] * 6,
    {"op": "find", "id": "f", "text": "line 9", "case": False},
    {"op": "text", "id": "t", "first": 0, "last": 30_000, "first_column": 0, "last_column": -1},
    {"op": "download", "id": "d", "at": 0},
    {"op": "ping"},
)


def test_a_page_that_asks_too_often_is_not_heard_but_for_its_buttons(kernel, live):
    """3,000 questions neither hold other tasks up nor fill the memory; Kill still works at once."""
    kernel.run(FLOOD)
    answers, size = 0, 0

    def drain(message):
        nonlocal answers, size
        answers += message["msg_type"] == "comm_msg"
        size += sum(len(buffer) for buffer in message["buffers"])

    for _ in range(30):
        for number in range(100):
            kernel.comm(live, job=kernel.jobs[live], **QUESTIONS[number % len(QUESTIONS)])
        kernel.run("", on_message=drain)
    lag, grown, seconds = kernel.json(MEASURED)
    print(f"3,000 questions in {seconds:.1f} s: {answers} answers, {size / 1e6:.0f} MB, p99 of lags {lag * 1000:.0f} ms, "
          f"memory + {grown / 1e6:.0f} MB")  # fmt: skip
    assert lag < 0.5 and grown < 60e6
    assert answers < 150 + 30 * seconds, "of 50 questions a second most are about rows, which wait for the wire"
    kernel.run("ticking.cancel()")
    kernel.run("%aproc --bg --proc other {program} out ready stall")
    victim = list(kernel.jobs)[-1]
    for question in QUESTIONS * 20:
        kernel.comm(victim, job=kernel.jobs[victim], **question)
    kernel.comm(victim, op="kill", job=kernel.jobs[victim])
    assert kernel.run("await other.wait()").value == "-9"
