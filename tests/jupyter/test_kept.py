"""A saved transcript opens its viewer again: as long as the kernel has kept the run, which is for the last ones."""

import re

import pytest

from .test_card import is_answer, is_tail, shown, tails

pytestmark = pytest.mark.pure

GREETING = "[str(o.model_id) for o in __import__('gc').get_objects() if type(o).__name__ == 'Greeting' and o.comm][0]"
KEPT = "from ipyproc._jupyter.views import kept; len(kept._kept)"


def link(done):
    """The id that the link of the transcript has, or nothing."""
    found = re.search(r'<a style="display:none" href="#ipyproc-(\w+)"', done.displays[-1]["text/html"])
    return found[1] if found else ""


def click(kernel, name, view="v"):
    """What a page sends when somebody clicks; the messages up to the answer."""
    ask(kernel, name, view)
    return kernel.idle_messages(lambda message: is_answer(message, "opened"))


def ask(kernel, name, view="v"):
    greeting = kernel.json(GREETING)
    kernel.comm(greeting, op="open", id=name, view=view, job=kernel.jobs[greeting])


def model(messages):
    return messages[-1]["content"]["data"]["content"]["model"]


def test_a_click_mounts_the_viewer(fresh_kernel):
    kernel = fresh_kernel
    done = kernel.run("%aproc {program} lines 20000 sleep 0.5")
    messages = click(kernel, link(done), "the view")
    assert messages[-1]["content"]["data"]["content"]["view"] == "the view"
    card = model(messages)
    state = shown(messages, card)[-1]
    assert (state["label"], state["title"][-21:]) == ("Done, exit 0", "lines 20000 sleep 0.5")
    for operation in ("here", "ready", "shown"):
        kernel.comm(card, op=operation, job=state["job"])
    tail = kernel.idle_messages(lambda message: is_tail(message, card))
    assert tails(tail, card)[-1][1].endswith("1line 19999")
    kernel.comm(card, op="rows", first=9_000, count=2, job=state["job"])
    rows = kernel.idle_messages(lambda message: is_answer(message, "rows"))
    assert bytes(rows[-1]["buffers"][0]) == b"1line 9000\n1line 9001", "what the transcript leaves out"
    assert model(click(kernel, link(done))) == card, "the same widget for a second view"
    assert shown(rows, card) == []


def test_an_id_that_is_unknown_is_ignored(fresh_kernel):
    kernel = fresh_kernel
    done = kernel.run("%aproc sh -c 'echo why; exit 3'")
    for wrong in ("0" * 32, "", "x" * 64, "x" * 65, 5, None, ["x"], {"a": 1}):
        ask(kernel, wrong)
    assert is_answer((messages := click(kernel, link(done)))[-1], "opened")
    assert sum(is_answer(message, "opened") for message in messages) == 1


def test_the_last_runs_are_kept(fresh_kernel):
    kernel = fresh_kernel
    kernel.run("from ipyproc._jupyter.views import kept; kept.MOST_RUNS = 3")
    code = "%aproc --name job sh -c 'echo why; exit 3'"
    links = [link(kernel.run(code)) for _ in range(5)]
    assert len(set(links)) == 5 and kernel.run(KEPT).value == "3"
    logs = (
        "import gc; gc.collect(); from ipyproc._core.output import storage; len([*storage.directory().glob('*.log')])"
    )
    assert kernel.eventually(logs, "3"), "the logs of the others are removed"
    kernel.run("kept.MOST_BYTES = 9")
    kernel.run(code)
    assert kernel.run(KEPT).value == "2", "4 bytes each"
    kernel.run("%aproc sh -c 'seq 1000; exit 3'")
    assert kernel.run(KEPT).value == "1", "the last one is kept however large"
    kernel.run("%unload_ext ipyproc")
    assert kernel.run("len(kept._kept)").value == "0"


def test_nothing_is_kept_where_there_is_no_page(silent_kernel):
    done = silent_kernel.run("%aproc --no-raise-error sh -c 'echo why; sleep 0.4; exit 3'", page="")
    assert "ipyproc-" not in str(done.displays) and silent_kernel.run(KEPT, page="").value == "0"


def test_what_is_shown_whole_and_plain_is_not_kept(fresh_kernel):
    fresh_kernel.run("%aproc echo fine")
    fresh_kernel.run("%aproc --plain sh -c 'echo why; exit 3'")
    fresh_kernel.run("%aproc sh -c 'sleep 0.4; exit 3'")
    assert fresh_kernel.run(KEPT).value == "0"


def test_a_process_that_is_viewed_after_its_end_has_a_link(fresh_kernel):
    done = fresh_kernel.run(
        "import ipyproc; p = await ipyproc.start('echo', 'a'); await p.wait()\n"
        "while not p.log.ended: await p.log.changed(p.log.bytes)\np.view()"
    )
    assert is_answer(click(fresh_kernel, link(done))[-1], "opened")
