"""`--bg` returns at once; its output stays in its own cell; nothing of it outlives the kernel."""

import re
import time

import pytest


def test_returns_at_once_and_the_output_stays_in_its_cell(kernel):
    started = time.monotonic()
    first = kernel.run("%aproc --bg --proc p {program} out a sleep 3 out b")
    assert first.status == "ok" and time.monotonic() - started < 2.7
    assert len(first.cards) == 1
    display = first.of_type("display_data")[0]["transient"]["display_id"]
    second = kernel.run("await p.wait()")
    assert second.value == "0"
    later = second.messages + second.strays
    if not [m for m in later if m["msg_type"] == "update_display_data"]:
        later += kernel.idle_messages(lambda m: m["msg_type"] == "update_display_data")
    swap = next(m["content"] for m in later if m["msg_type"] == "update_display_data")
    assert swap["transient"]["display_id"] == display
    assert swap["data"]["text/plain"].startswith("a\nb\n✔ Done, exit 0 · 3.")
    assert second.text() == "", "output of the background landed in another cell"


def test_a_live_reader(kernel):
    kernel.run("%%aproc --bg --out x --err y --proc p\necho one; echo err >&2; read; ", headless=True)
    done = kernel.run("[await x.readline(), await x.read(), x.at_eof(), x.text, y.text, await y.read(), y.at_eof()]")
    assert done.value == "[b'one\\n', b'', True, 'one\\n', 'err\\n', b'err\\n', True]"


def test_text_is_what_is_there_now(kernel):
    kernel.run("%aproc --bg --out x --proc p {program} out now stall")
    assert kernel.run("await x.readline(); x.text, p.returncode, x.at_eof()").value == "('now\\n', None, False)"
    assert kernel.run("await p.stop()").value == "-15"


def test_headless_output_shows_in_the_cell_that_awaits_it(kernel):
    first = kernel.run("%aproc --bg --proc p {program} out early sleep 1.5 out late", headless=True)
    assert first.status == "ok" and not first.of_type("display_data")  # the card of an earlier cell may just be updated
    assert re.match(r"\.\.\. in the background: .*; shown where it is awaited; log: /", first.text())
    waits = "import asyncio\ntry:\n    await asyncio.wait_for(p.wait(), 0.8)\nexcept TimeoutError: print('not yet')"
    second = kernel.run(waits, headless=True)
    third = kernel.run("await p.wait()", headless=True)
    assert (second.text() + third.text(), third.value) == ("early\nnot yet\nlate\n", "0")
    assert kernel.run("await p.wait()", headless=True).text() == ""


def test_output_after_the_end_of_the_program(kernel):
    started = time.monotonic()
    first = kernel.run("%%aproc\n(sleep 3; echo late) &\necho now")
    assert first.status == "ok" and time.monotonic() - started < 2.7
    assert len(first.cards) == 1
    swap = kernel.idle_messages(lambda m: m["msg_type"] == "update_display_data")[-1]
    assert swap["content"]["data"]["text/plain"].startswith("now\nlate\n✔ Done")


@pytest.mark.parametrize("options", ["--quiet", "--plain", "--quiet --out x --err y"])
def test_a_failure_behind_a_cell_without_a_card_leaves_a_line_in_it(kernel, options):
    first = kernel.run(f"%aproc --bg --proc p {options} --name failing {{program}} sleep 0.3 exit 3")
    later = kernel.run("await p.wait()").strays
    while not (told := [m for m in (*first.messages, *later) if m["msg_type"] == "stream"]):
        later = kernel.idle_messages(lambda m: m["msg_type"] == "stream")
    assert re.match(r"✘ Failed, exit 3 · 0\.\d\d s · .*failing\n", told[0]["content"]["text"])
    assert told[0]["parent_header"]["msg_id"] == first.request


def test_who_stops_a_program_is_not_told_so(kernel):
    first = kernel.run("%aproc --bg --proc p --quiet {program} out ready stall")
    second = kernel.run("await p.stop()")
    third = kernel.run("while p in ipyproc.processes(): await asyncio.sleep(0.01)\nawait asyncio.sleep(0.1)")
    assert not [
        m for done in (first, second, third) for m in (*done.messages, *done.strays) if m["msg_type"] == "stream"
    ]
