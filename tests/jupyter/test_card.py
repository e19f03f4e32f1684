"""The card by its messages: what the kernel tells the page, what the page may say, and what it leaves behind."""

import gzip
import json
import pathlib
import re
import struct
import time

import pytest

import ipyproc

STATIC = pathlib.Path(ipyproc.__file__).parent / "_jupyter" / "static"


def shown(messages, card):
    """The states that a card was given, in order."""
    states = []
    for message in messages:
        content = message["content"]
        if message["msg_type"] not in ("comm_open", "comm_msg") or content["comm_id"] != card:
            continue
        state = content["data"].get("state", {})
        if "shown" in state:
            states.append(state["shown"])
    return states


def tails(messages, card):
    """(message, last rows) of each tail that a card was sent, as a page puts them together."""
    rows, found = {}, []
    for message in messages:
        if not is_tail(message, card):
            continue
        content = message["content"]["data"]["content"]
        text = bytes(message["buffers"][0]).decode()
        rows.update(enumerate(text.split("\n") if text else [], content["first"]))
        last = [rows[number] for number in range(max(0, content["total"] - 40), content["total"])]
        found.append((content, "\n".join(last)))
        rows = {number: row for number, row in rows.items() if number < content["settled"]}
    return found


def is_tail(message, card):
    content = message["content"]
    return (
        message["msg_type"] == "comm_msg"
        and content["comm_id"] == card
        and content["data"].get("content", {}).get("op") == "tail"
    )


class Page:
    """Clicks on the card, when it has drawn the first lines, as a person does."""

    def __init__(self, kernel, *, then=""):
        self.kernel, self.then = kernel, then
        self.card = ""
        self.clicked_at = 0.0

    def __call__(self, message):
        if message["msg_type"] == "comm_open" and "shown" in message["content"]["data"]["state"]:
            self.card = message["content"]["comm_id"]
        if self.then and not self.clicked_at and is_tail(message, self.card):
            self.clicked_at = time.monotonic()
            self.send(self.then)

    def send(self, op, **more):
        self.kernel.comm(self.card, op=op, job=self.kernel.jobs[self.card], **more)


def test_states_tails_and_transcript(kernel):
    page = Page(kernel)
    done = kernel.run("%%aproc\necho out; sleep 0.6; echo err >&2; exit 3", on_message=page)
    states = shown(done.messages, page.card)
    assert [state["name"] for state in states if state] == ["running", "failed"]
    assert (
        states[-1]["label"] == "Failed, exit 3" and states[-1]["title"] == "echo out; sleep 0.6; echo err >&2; exit 3"
    )
    message, text = tails(done.messages, page.card)[-1]
    assert text == "1out\n2err"
    assert message["counts"] == "2 lines · 8 B (4 B stderr)"
    swap = done.of_type("update_display_data")[-1]["data"]
    assert set(swap) == {"text/plain", "text/html"}
    assert swap["text/plain"].startswith("out\nerr\n✘ Failed, exit 3 · 0.")
    assert "<script" not in swap["text/html"] and "Failed, exit 3" in swap["text/html"]


@pytest.mark.parametrize(("op", "signal", "label"), [("stop", "SIGTERM", "Stopped"), ("kill", "SIGKILL", "Killed")])
def test_buttons_work_while_the_cell_is_awaited(kernel, op, signal, label):
    page = Page(kernel, then=op)
    done = kernel.run("%aproc {program} out ready stall", on_message=page)
    assert done.error.startswith("ProcessStopped: ") and done.error.endswith(f"was ended by {signal}")
    assert done.ended_at - page.clicked_at < 1
    print(f"click to the end of the cell: {(done.ended_at - page.clicked_at) * 1000:.0f} ms")
    assert shown(done.messages, page.card)[-1]["label"] == f"{label} ({signal})"


def test_stop_counts_down_and_kills(kernel):
    page = Page(kernel, then="stop")
    done = kernel.run("%aproc --grace 0.4 {program} ignore TERM out ready stall", on_message=page)
    assert done.error.endswith("was ended by SIGKILL")
    states = shown(done.messages, page.card)
    stopping = [(state["sent"], state["next_in"]) for state in states if state.get("name") == "stopping"]
    assert stopping[0][0] == "SIGTERM" and 0.3 < stopping[0][1] <= 0.4
    assert states[-1]["label"] == "Stopped (SIGKILL)"


def test_other_cells_are_not_needed_for_a_background_card(kernel):
    page = Page(kernel, then="stop")
    kernel.run("%aproc --bg --proc p {program} out ready stall", on_message=page)
    if not page.clicked_at:
        kernel.idle_messages(lambda m: page(m) or bool(page.clicked_at))
    assert kernel.run("await p.wait()").value == "-15"


def test_folded_while_the_output_goes_to_a_variable(kernel):
    page = Page(kernel)
    done = kernel.run("%%aproc --out x\necho captured; sleep 0.5; echo told >&2", on_message=page)
    assert shown(done.messages, page.card)[-1]["folded"] is True
    assert shown(done.messages, page.card)[-1]["note"] == "output in x"
    swap = done.of_type("update_display_data")[-1]["data"]["text/plain"]
    assert swap.startswith("told\n✔ Done, exit 0") and swap.endswith("output in x")
    assert kernel.run("x").value == "'captured\\n'"


def test_after_a_reload_the_card_goes_on_and_stays(kernel):
    page = Page(kernel)
    seen = []

    def reload(message):
        page(message)
        if is_tail(message, page.card):
            seen.append(message)
            if len(seen) == 1:
                page.send("ready", page="page-2")

    done = kernel.run("%%aproc\necho a; sleep 0.8; echo b", on_message=reload)
    assert [text for _, text in tails(done.messages, page.card)][:2] == ["1a", "1a"], "no replay for the second page"
    assert tails(done.messages, page.card)[-1][1] == "1a\n1b"
    assert "ipyproc-transcript" in done.displays[-1]["text/html"], "for a page beside the one that was loaded anew"
    assert done.of_type("comm_close") == []
    assert shown(done.messages, page.card)[-1]["name"] == "ok"


def test_a_card_that_is_gone_is_closed(kernel):
    page = Page(kernel)
    kernel.run("%aproc sleep 0.5", on_message=page)
    page.send("bye")
    kernel.idle_messages(lambda m: m["msg_type"] == "comm_close" and m["content"]["comm_id"] == page.card)


def test_a_progress_bar_does_not_push_other_lines_away(kernel):
    page = Page(kernel)
    done = kernel.run(
        "%%aproc {sys.executable}\nimport time\nprint('first')\n"
        "for i in range(2000):\n    print(f'\\r{i:6} of 2000 and some words', end='', flush=True); time.sleep(0.0005)",
        on_message=page,
    )
    assert {text.split("\n")[0] for _, text in tails(done.messages, page.card) if text} == {"1first"}
    assert re.fullmatch(r"1first\n1  1\d\d\d of 2000 and some words", tails(done.messages, page.card)[-1][1])
    assert done.displays[-1]["text/plain"].startswith("first\n  1999 of 2000 and some words\n✔ Done")


def test_the_saved_text_is_bounded_whatever_is_written(kernel):
    page = Page(kernel)
    done = kernel.run("%%aproc\nfor i in $(seq 25000); do echo e >&2; done; sleep 0.3; seq 25000", on_message=page)
    swap = done.of_type("update_display_data")[-1]["data"]
    assert len(swap["text/html"]) < 70_000 and len(swap["text/plain"]) < 40_000


def test_a_card_whose_view_went_before_the_end_is_closed(kernel):
    page = Page(kernel, then="bye")
    done = kernel.run("%aproc {program} out ready sleep 0.6", on_message=page)
    assert [m for m in done.messages if m["msg_type"] == "comm_close" and m["content"]["comm_id"] == page.card]


def test_a_flood_is_few_messages(kernel):
    page = Page(kernel)
    started = time.monotonic()
    done = kernel.run("%aproc {program} out start sleep 0.5 lines 300000 sleep 0.5", on_message=page)
    took = time.monotonic() - started
    sent = [m for m in done.messages if m["msg_type"] == "comm_msg"]
    assert len(sent) <= 12 * took + 5
    assert sum(len(m["buffers"][0]) for m in sent if m["buffers"]) <= 0.3e6 * took
    swap = done.of_type("update_display_data")[-1]["data"]
    assert len(swap["text/plain"]) < 80_000 and "not shown; full log: " in swap["text/plain"]


def test_hostile_output_and_titles_are_inert(kernel):
    hostile = "<img src=x onerror=alert(1)>&\x1b]0;t\x07\x1b[48m"
    kernel.run(f"hostile = {hostile!r}")
    done = kernel.run("%aproc --name {hostile} {program} out {hostile} err {hostile} sleep 0.5")
    html = done.of_type("update_display_data")[-1]["data"]["text/html"]
    assert "<img" not in html and html.count("&lt;img") == 3
    assert "\x1b" not in html + done.of_type("update_display_data")[-1]["data"]["text/plain"]


def test_saved_output_exports(kernel):
    import nbformat
    from nbconvert import HTMLExporter, LatexExporter

    data = kernel.run("%%aproc\nprintf '\\033[48mbare\\033[0m €\\n'; sleep 0.5").of_type("update_display_data")[-1][
        "data"
    ]
    output = nbformat.v4.new_output("display_data", data=data)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("x", outputs=[output])])
    assert "bare €" in HTMLExporter().from_notebook_node(notebook)[0]
    assert "bare" in LatexExporter().from_notebook_node(notebook)[0]


@pytest.fixture
def asked(kernel):
    """Ask the card of a program that has written: `ask(op, ...)` gives the (content, buffer) of each answer, up to the last."""
    page = Page(kernel)

    def start(*words, rows):
        program = " ".join(map(str, words))
        done = kernel.run(f"%aproc --bg --proc p {{program}} {program} stall", on_message=page)

        def is_there(message):
            return is_tail(message, page.card) and message["content"]["data"]["content"]["total"] == rows

        if not any(map(is_there, done.messages)):
            kernel.idle_messages(is_there)

        def ask(op, *, until=lambda content: not content.get("more"), kind="", **more):
            page.send(op, **more)
            kind = kind or {"download": "piece", "find": "found"}.get(op, op)
            answers = []

            def look(message):
                data = message["content"].get("data", {})
                content = data.get("content", {}) if message["msg_type"] == "comm_msg" else {}
                if content.get("op") in (kind, "too_big"):
                    answers.append((content, bytes(message["buffers"][0]) if message["buffers"] else b""))
                return bool(answers) and until(answers[-1][0])

            kernel.idle_messages(look)
            return answers

        ask.send = page.send
        return ask

    yield start
    assert kernel.run("await p.stop()").value == "-15"


def test_the_page_pulls_any_rows(asked):
    ask = asked("lines", 100_000, "sleep", 0.1, "err", "oops", rows=100_001)
    [(content, buffer)] = ask("rows", first=50_000, count=3)
    assert (content["first"], buffer) == (50_000, b"1line 50000\n1line 50001\n1line 50002")
    assert ask("rows", first=99_999, count=200)[0][1] == b"1line 99999\n2oops"
    assert ask("rows", first=200_000, count=5)[0][1] == b""
    [(content, buffer)] = ask("rows", first=0, count=200)
    assert len(buffer.split(b"\n")) == 200


def test_the_round_and_its_bar(kernel):
    page = Page(kernel)
    bar = "50%|█████     | 50/100 [00:04<00:05,  9.90it/s]"
    code = f"import time; print('Epoch 2/4'); print({bar!r}); time.sleep(60)"
    kernel.run(f"code = {code!r}")
    done = kernel.run("%aproc --bg --proc p {sys.executable} -u -c {code}", on_message=page)
    seen = lambda message: is_tail(message, page.card) and content_of(message)["doing"] != ""  # noqa: E731
    messages = [*filter(seen, done.messages)] or kernel.idle_messages(seen)
    content = content_of(messages[-1])
    while content["inner"] is None:  # the bar comes in the next tail
        content = content_of(kernel.idle_messages(seen)[-1])
    assert (content["progress"], content["inner"], content["doing"], content["left"]) == (0.375, 0.5, "epoch 2/4", "")
    assert kernel.run("await p.stop()").value == "-15"


def test_a_view_can_be_limited_to_one_stream(asked, kernel):
    ask = asked("lines", 3000, "err", "a", "out", "b", "err", "npm\\ ERR!", rows=3003)

    def limited(stream, view="one"):
        ask.send("filter", view=view, stream=stream)
        found = kernel.idle_messages(
            lambda message: is_answer(message, "tail") and content_of(message)["stream"] == stream
        )
        return content_of(found[-1]), bytes(found[-1]["buffers"][0]).split(b"\n")

    content, rows = limited(2)
    assert (content["total"], content["first"], content["both"], rows) == (2, 0, True, [b"2a", b"8npm ERR!"])
    assert content["counts"].startswith("3,003 lines"), "of all"
    content, rows = limited(1)
    assert (content["total"], rows[-2:]) == (3001, [b"1line 2999", b"1b"])
    assert ask("rows", stream=1, first=2999, count=9)[0][1] == b"1line 2999\n1b"
    assert ask("rows", stream=2, first=0, count=1)[0] == ({"op": "rows", "stream": 2, "first": 0}, b"2a")
    assert struct.unpack("<I", ask("find", stream=2, id="f", text="npm", case=True)[0][1]) == (1,)
    assert ask("text", stream=2, id="c", first=0, last=9, first_column=0, last_column=-1)[0][1] == b"a\nnpm ERR!"
    content, rows = limited(0)
    assert (content["total"], rows[-1]) == (3003, b"8npm ERR!"), "the view begins anew"


def test_a_limited_view_goes_on_to_the_end(kernel):
    page = Page(kernel)
    code = """%%aproc --bg --proc p --stdin ask
echo out; echo one >&2; read -r; for i in 1 2 3; do echo out; echo "err $i" >&2; done; exec sleep 60"""
    done = kernel.run(code, on_message=page)
    seen = lambda message: is_tail(message, page.card) and content_of(message)["total"] == 2  # noqa: E731
    if not any(map(seen, done.messages)):
        kernel.idle_messages(seen)
    page.send("filter", view="one", stream=2)
    kernel.idle_messages(lambda message: is_answer(message, "tail") and content_of(message)["stream"] == 2)
    page.send("stdin", text="go on\n")
    last = kernel.idle_messages(
        lambda message: (
            is_answer(message, "tail") and content_of(message)["stream"] == 2 and content_of(message)["total"] == 4
        )
    )[-1]
    assert bytes(last["buffers"][0]).endswith(b"2err 1\n2err 2\n2err 3")
    page.send("filter", view="one", stream=0)
    assert kernel.run("await p.stop()").value == "-15"


def content_of(message):
    return message["content"]["data"]["content"]


def test_find_copy_and_download(asked):
    ask = asked("lines", 100_000, "sleep", 0.1, "err", "LINE", rows=100_001)
    [(content, buffer)] = ask("find", id="f", text="line 9999", case=False)
    assert (content["id"], content["more"], content["total"]) == ("f", False, 100_001)
    assert list(struct.unpack(f"<{len(buffer) // 4}I", buffer)) == [9999, *range(99990, 100000)]
    [(content, buffer)] = ask("find", id="g", text="line", case=True, until=lambda content: True)
    assert content["more"] and len(buffer) == 40_000
    [(_, buffer)] = ask("find", id="h", text="LINE", case=True)
    assert struct.unpack("<I", buffer) == (100_000,)
    answers = ask("text", id="c", first=7, last=9, first_column=2, last_column=3)
    assert answers == [({"op": "text", "id": "c", "size": 15, "more": False}, b"ne 7\nline 8\nlin")]
    answers = ask("text", id="c", first=0, last=60_000, first_column=0, last_column=-1)
    assert b"".join(piece for _, piece in answers).split(b"\n")[60_000] == b"line 60000" and len(answers) == 2
    answers = ask("text", id="c", first=0, last=100_000, first_column=0, last_column=-1)
    assert answers == [({"op": "too_big", "id": "c"}, b"")]
    whole, at, more = b"", 0, True
    while more:
        [(content, piece)] = ask("download", id="d", at=at, until=lambda content: True)
        assert content["at"] == at and content["size"] == 1_088_895
        whole, at, more = whole + piece, at + len(piece), content["more"]
    assert whole == b"".join(b"line %d\n" % n for n in range(100_000)) + b"LINE\n"


def test_two_people_download_and_search_at_the_same_time(asked):
    ask = asked("lines", 100_000, rows=100_000)
    got, at = {"a": b"", "b": b""}, {"a": 0, "b": 0}
    for page in "ab":
        ask.send("download", id=page, at=0, page=page)
    while any(number is not None for number in at.values()):
        [(content, piece)] = ask("ping", until=lambda content: True, kind="piece")
        page = content["id"]
        got[page] += piece
        at[page] = len(got[page]) if content["more"] else None
        if content["more"]:
            ask.send("download", id=page, at=at[page], page=page)
    assert got["a"] == got["b"] == b"".join(b"line %d\n" % n for n in range(100_000))
    for page in "ab":
        ask.send("find", id=page, text="no such text", case=True, page=page)
    ids = set()
    ask("ping", until=lambda content: ids.add(content["id"]) or ids == {"a", "b"}, kind="found")


def test_what_is_asked_wrongly_is_ignored(asked):
    ask = asked("lines", 10, rows=10)
    for wrong in (
        {"op": "rows", "first": -1, "count": 5},
        {"op": "rows", "first": 0, "count": 10**6},
        {"op": "rows", "first": "0", "count": True},
        {"op": "find", "id": 5, "text": "x"},
        {"op": "find", "id": "x", "text": "y" * 5000},
        {"op": "text", "id": "x", "first": 5, "last": 2, "first_column": 0, "last_column": 0},
        {"op": "download", "id": "x", "at": 10**30},
        {"op": "download", "id": "never begun", "at": 5},
    ):
        ask.send(**wrong)
    [(_, buffer)] = ask("rows", first=0, count=1)
    assert buffer == b"1line 0"


def test_the_code_comes_when_it_is_asked_for_and_not_with_each_card(kernel):
    page = Page(kernel)
    done = kernel.run("%aproc --bg --proc p {program} out ready stall", on_message=page)
    of_card = [m for m in done.messages if m["msg_type"].startswith("comm_") and m["content"]["comm_id"] == page.card]
    assert sum(len(json.dumps(m["content"], default=str)) for m in of_card) < 6000
    for _ in range(5):
        page.send("code")
    messages = kernel.idle_messages(lambda m: is_answer(m, "code"))
    assert [gzip.decompress(part) for part in messages[-1]["buffers"]] == [
        (STATIC / name).read_bytes() for name in ("page.js", "page.css")
    ]
    page.send("ping")
    more = kernel.idle_messages(lambda m: is_tail(m, page.card))
    assert sum(is_answer(m, "code") for m in more) <= 2, "as often as a page likes"
    assert kernel.run("await p.stop()").value == "-15"


def is_answer(message, op):
    return message["msg_type"] == "comm_msg" and message["content"]["data"].get("content", {}).get("op") == op


SLOW_DISK = """
import os, threading
seen, slow, pread = set(), [], os.pread
def slow_pread(fd, size, offset):
    "What was not read before would take long; then it is in the memory of the system."
    blocks = {(os.fstat(fd).st_ino, block) for block in range(offset >> 12, (offset + size >> 12) + 1)}
    if blocks - seen:
        slow.append(threading.current_thread() is threading.main_thread())
    seen.update(blocks)
    return pread(fd, size, offset)
os.pread = slow_pread
"""


def test_a_slow_disk_holds_nobody_up(asked, kernel):
    ask = asked("lines", 100_000, "sleep", 0.1, "err", "oops", rows=100_001)
    kernel.run(SLOW_DISK)
    try:
        assert ask("rows", first=50_000, count=200)[0][1].startswith(b"1line 50000\n1line 50001\n")
        assert len(ask("find", id="f", text="line 7777", case=True)[0][1]) == 4 * 11
        assert ask("text", id="c", first=20_000, last=20_300, first_column=0, last_column=-1)[0][0]["size"] == 3310
        assert len(ask("download", id="d", at=0, until=lambda content: True)[0][1]) == 1 << 19
        kernel.run("%aproc --quiet --out text {program} lines 100000")
        assert kernel.run("len(text)").value == "1088890"
    finally:
        slow = kernel.json("slow")
        kernel.run("os.pread = pread")
    assert len(slow) > 30 and not any(slow), "none was on the event loop"
