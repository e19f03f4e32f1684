"""Many programs at once: what they send stays little, nobody waits long, nothing is lost."""

import re
import time

import pytest

from .test_card import is_tail

MANY = 40
START = "ps = []\nfor i in range({many}):\n    %aproc --bg --proc p {words}\n    ps.append(p)"
LINES = "sh -c 'for n in $(seq 60); do echo line $n of {i}; sleep 0.05; done; read x < {go}'"


@pytest.mark.parametrize("how", ["text", "a card that met no page"])
def test_text_of_many_programs_is_few_messages_and_complete(silent_kernel, tmp_path, how):
    go, kernel = tmp_path / "go", silent_kernel
    kernel.run(f"import os; os.mkfifo({str(go)!r}); go = {str(go)!r}", page="")
    if how == "text":
        kernel.run("%config AProcMagics.plain = True", page="")
    started = kernel.run(START.format(many=MANY, words=LINES), page="")
    times, lines = [], []

    def take(message):
        if message["msg_type"] == "stream":
            times.append(message["header"]["date"].timestamp())
            lines.extend(re.findall(r"line (\d+) of (\d+)\n", message["content"]["text"]))

    for message in started.messages:
        take(message)
    while len(lines) < MANY * 60:  # nothing but the turns of the wire shows them: the programs go on
        take(kernel.client.get_iopub_msg(timeout=60))
    assert sorted(lines, key=lambda pair: (int(pair[1]), int(pair[0]))) == [
        (str(n), str(i)) for i in range(MANY) for n in range(1, 61)
    ]
    most = max(sum(1 for at in times if begin <= at < begin + 1) for begin in times)
    print(f"{len(times)} messages, at most {most} in a second")
    assert most <= 22, "20, and the clock of a busy machine"
    kernel.run("with open(go, 'w'):\n    for p in ps: await p.stop(0)", page="")


def test_what_programs_write_at_their_end_is_complete_without_a_turn(fresh_kernel):
    started = fresh_kernel.run(
        START.format(many=20, words="--plain sh -c 'seq 100; echo end of {i}'") + "\nfor p in ps: await p.wait()"
    )
    text = started.text()
    while text.count("end of ") < 20:
        message = fresh_kernel.client.get_iopub_msg(timeout=60)
        text += message["content"]["text"] if message["msg_type"] == "stream" else ""
    assert sorted(text.split()).count("100") == 20 and text.count("\n") == 20 * 101


@pytest.mark.parametrize("headless", [True, False])
def test_lines_that_go_to_both_streams_in_turns_are_few_messages(kernel, headless):
    script = "for n in $(seq 2000); do echo out $n; echo err $n >&2; done"
    done = kernel.run(f"%aproc --plain sh -c '{script}'", headless=headless)
    assert done.text().split() == [word for n in range(1, 2001) for word in ("out", str(n))]
    assert done.text("stderr").split() == [word for n in range(1, 2001) for word in ("err", str(n))]
    assert len(done.of_type("stream")) < 400, "it was one for each line"


def test_a_burst_of_starts_and_stops_holds_no_line_up(fresh_kernel):
    kernel = fresh_kernel

    def probe():
        """Seconds until a line that a program writes is in the page."""
        seen = []

        def look(message):
            return any(is_tail(message, card) for card in kernel.jobs) and b"PROBE" in bytes(message["buffers"][0])

        done = kernel.run(
            "import time\n%aproc --bg --proc p sh -c 'echo PROBE; exec sleep 600'\ntime.monotonic()",
            on_message=lambda m: seen.append(time.monotonic()) if look(m) else None,
        )
        while not seen:
            message = kernel.client.get_iopub_msg(timeout=60)
            kernel.answer(message, "page-1")
            if look(message):
                seen.append(time.monotonic())
        return seen[0] - float(done.value)

    before = probe()
    kernel.run(START.format(many=100, words="sleep 600"))
    after_starts = probe()
    kernel.run("for p in ps: p.terminate()\nfor p in ps: await p.wait()")
    after_stops = probe()
    print(f"a line takes {before:.2f} s, after 100 starts {after_starts:.2f} s, after 100 stops {after_stops:.2f} s")
    assert max(after_starts, after_stops) < 0.5 + 3 * before + 1, "it was 6 and 12 s"
    kernel.run("%aprocs kill all", headless=True)
