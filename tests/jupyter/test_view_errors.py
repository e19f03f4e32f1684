"""An error of a view ends neither a program nor a cell: it is told once, as what it is."""

import pytest

pytestmark = pytest.mark.pure

SHORT, LONG = "sh -c 'echo a; touch {mark}'", "sh -c 'echo a; sleep 0.5; echo b; touch {mark}'"
BOOM = r"BOOM \x1b]0;t\x07\u202e"
PATCHES = {
    "rows that cannot be taken in": "rows.Rows.take_in",
    "rows that cannot be read": "rows.Rows.read_in_turns",
    "a style without CSS": "styles.markup",
    "a transcript": "transcript.bundle",
    "the text of the first moments": "transcript.text_bundle",
    "a card that cannot be made": "card.Card.__init__",
    "the state of a card": "card.Card._state",
    "a message of a card": "output.Output._progress",
    "text": "stream.StreamView._write",
    "the message of the page": "card.Card._push_tail",
}


@pytest.fixture
def broken(kernel):
    """Make something of our views raise, by its name."""
    kernel.run(
        "import ipyproc\n"
        "from ipyproc._core.output import rows\n"
        "from ipyproc._jupyter.views import card, first, jobs, listing, live_table, output, state, stream, styles, transcript\n"
        "def fail(*_, **__): raise RuntimeError('" + BOOM + "')\n"
        "def swap(name, new):\n"
        "    *path, last = name.split('.')\n"
        "    place = globals()[path[0]]\n"
        "    for each in path[1:]: place = getattr(place, each)\n"
        "    before = getattr(place, last); setattr(place, last, new); return before"
    )

    def break_it(name):
        kernel.run(f"before, broken = swap({name!r}, fail), {name!r}")

    yield break_it
    kernel.run("swap(broken, before)")


def told(done):
    """How often it was said that an error of ours prevents something."""
    text = done.text("stderr")
    assert "\x1b" not in text and "\u202e" not in text, "what an error quotes is inert too"
    assert text.count("RuntimeError: BOOM <U+202E>") == text.count("that is no fault of the program")
    return text.count("that is no fault of the program")


@pytest.mark.parametrize("what", PATCHES)
@pytest.mark.parametrize("how", ["", "--plain ", "--bg --proc p ", "headless"])
def test_the_program_and_the_cell_go_on(kernel, broken, tmp_path, what, how):
    mark = tmp_path / "mark"
    broken(PATCHES[what])
    for command in (SHORT, LONG):
        options = "" if how == "headless" else how
        line = f"%aproc {options}{command.format(mark=mark)}"
        after = "await p.wait()\nawait p.log.finished()\n" if "--bg" in how else ""
        done = kernel.run(f"x = {line}\n{after}x.returncode", headless=how == "headless")
        assert (done.error, done.value) == ("", "0"), command
        assert mark.exists(), command
        mark.unlink()
        if "--bg" not in how:
            assert kernel.run("x.stdout").value == repr("a\n" if command == SHORT else "a\nb\n")
        assert told(done) <= 2, "once for each view: the first text, and what takes its place"


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("transcript.bundle", "%aproc sh -c 'echo a; sleep 0.5'"),
        ("transcript.text_bundle", "%aproc sh -c 'echo a; sleep 0.1'"),
        ("card.Card.__init__", "%aproc sh -c 'echo a; sleep 0.5'"),
        ("stream.StreamView._write", "%aproc --plain echo a"),
        ("jobs.Tally.picture", "await ipyproc.parallel([['sleep', '0.5']])"),
        ("listing.text", "%aprocs"),
        ("transcript.at_once", "p = await ipyproc.start('echo', 'a'); await p.wait(); p.view()"),
    ],
)
def test_it_is_told_as_what_it_is(kernel, broken, name, line):
    broken(name)
    done = kernel.run(f"{line}\n'went on'")
    assert (done.error, done.value) == ("", "'went on'")
    assert told(done) == 1
    assert "Traceback (most recent call last):" in done.text("stderr")


def test_the_text_stands_in_for_a_card_that_cannot_be_made(kernel, broken):
    broken("card.Card.__init__")
    done = kernel.run("%aproc sh -c 'sleep 0.5; echo a; sleep 0.3; echo b'")
    assert done.text() == "a\nb\n"


def test_a_card_says_the_end_although_its_output_cannot_be_shown(kernel, broken):
    broken("card.Card._push_tail")
    done = kernel.run("%aproc sh -c 'sleep 0.5; echo a'")
    states = [
        m["content"]["data"].get("state", {}).get("shown", {})
        for m in done.messages
        if m["msg_type"] in ("comm_open", "comm_msg")
    ]
    assert [state["name"] for state in states if "name" in state] == ["running", "ok"]


@pytest.mark.parametrize(
    "name", ["jobs.Tally.picture", "jobs.Tally.look", "jobs.JobsCard.draw", "jobs.JobsCard.__init__"]
)
def test_many_commands_go_on_without_their_picture(kernel, broken, tmp_path, name):
    broken(name)
    for headless in (False, True):
        code = f"done = await ipyproc.parallel([['sh', '-c', 'sleep 0.6; touch {tmp_path}/%d' % n] for n in range(3)], jobs=2)"
        done = kernel.run(f"{code}\nlen(done)", headless=headless)
        assert (done.error, done.value) == ("", "3") and told(done) <= 1
        for each in tmp_path.iterdir():
            each.unlink()


def test_what_the_page_asks_for_and_cannot_get_is_told(kernel, broken):
    (card,) = kernel.run("%aproc --bg --proc p {program} lines 100 stall").cards
    broken("rows.Rows.find")
    kernel.comm(card, op="find", job=kernel.jobs[card], id="x", text="line", case=True)
    found = kernel.idle_messages(lambda m: m["msg_type"] == "stream" and "BOOM" in m["content"]["text"])
    assert found[-1]["content"]["name"] == "stderr"
    kernel.comm(card, op="kill", job=kernel.jobs[card])
    assert kernel.run("await p.wait()").value == "-9"


def test_an_onlooker_of_starts_loses_no_program(kernel):
    kernel.run(
        "from ipyproc._core.process import registry\ndef fail(process): raise RuntimeError('BOOM')\nregistry.watchers.add(fail)"
    )
    try:
        done = kernel.run("x = %aproc echo a\nx.stdout")
        assert (done.error, done.value) == ("", "'a\\n'")
    finally:
        kernel.run("registry.watchers.discard(fail)")
