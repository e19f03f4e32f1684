"""Whoever runs the cell sees each line once, in order, as it comes, and nobody waits for a page.

The clients here are shaped as front ends are: by how they number their messages, by what they say of widgets and when, and
by whether they put one display in the place of another when they are told to.
"""

import contextlib
import time
import types

import pytest
from jupyter_client.session import Session

from ipyproc._jupyter import kernel as room
from ipyproc._jupyter.line import awaiting
from ipyproc._jupyter.page import presence

from .kernel_session import CellRun, connected, kernel_session
from .test_card import Page, is_tail, tails

VIEW = "application/vnd.jupyter.widget-view+json"
LINES = ["line a", "line b", "line c"]
PROGRAM = "%aproc --name lines sh -c 'echo line a; sleep 0.1; echo line b; sleep 1.5; echo line c'"
SHORT = "%aproc --name lines sh -c 'echo line a; sleep 0.5; echo line c'"


def seen(done, *, replaces):
    """What the cell shows in a client without widgets, by lines; `replaces`: it heeds `update_display_data`."""
    places = {}
    for number, message in enumerate(done.messages):
        content, kind = message["content"], message["msg_type"]
        if kind == "stream":
            places[number] = content["text"]
        elif kind == "display_data" or (kind == "update_display_data" and replaces):
            places[content["transient"].get("display_id", number)] = content["data"]["text/plain"] + "\n"
    return [line for line in "".join(places.values()).split("\n") if line]


@pytest.fixture
def console(silent_kernel):
    """A client in Python, as `jupyter console` and qtconsole are; nobody answers widgets."""
    with connected(silent_kernel.manager, Session) as client:
        yield client


@pytest.mark.parametrize("count", [1, 2])
def test_a_client_in_python_gets_each_line_as_it_comes(console, count):
    for _ in range(count):
        done = console.run(PROGRAM, page="")
    assert seen(done, replaces=False) == seen(done, replaces=True) == LINES
    assert not done.displays and not done.of_type("comm_open")
    at = [time for time, message in zip(done.times, done.messages, strict=True) if message["msg_type"] == "stream"]
    assert at[-1] - at[0] > 1, "line a came with the last one"


def test_a_client_in_python_is_told_a_failure(console):
    done = console.run("%aproc sh -c 'echo line a; exit 3'", page="")
    assert seen(done, replaces=False) == ["line a"]
    assert done.error.startswith("ProcessExitError: `sh -c 'echo line a; exit 3'` exited with status 3")
    done = console.run("%aproc --no-raise-error sh -c 'exit 3'", page="")
    assert "".join(seen(done, replaces=False)).startswith("✘ Failed, exit 3")


def test_the_table_and_many_commands_are_text_in_a_client_in_python(console):
    console.run(PROGRAM, page="")
    done = console.run("%aprocs", page="")
    assert not done.displays and "]  lines" in done.text()
    done = console.run("import ipyproc; _ = await ipyproc.parallel([['sleep', '1.2'], ['true']])", page="")
    assert not done.displays and seen(done, replaces=False)[-1].startswith("2 of 2 done")


def test_a_page_that_never_answers(silent_kernel):
    done = silent_kernel.run(PROGRAM, page="")
    shown, taken_away = done.displays
    assert (shown[VIEW]["model_id"], shown["text/plain"], taken_away) == (done.cards[0], "", {"text/plain": ""})
    assert seen(done, replaces=False) == seen(done, replaces=True) == LINES
    done = silent_kernel.run(PROGRAM, page="")
    assert not done.displays, "it has been silent before"
    assert seen(done, replaces=False) == LINES


@pytest.mark.parametrize(
    "code",
    [SHORT, f"def f():\n    {SHORT}\nf()", "%aproc --name lines sh -c 'echo line a; exec sleep 600'"],
    ids=["awaited", "not awaited", "interrupted"],
)
def test_nobody_waits_for_a_page_that_never_answers(silent_kernel, code):
    kernel = silent_kernel
    kernel.run("from ipyproc._jupyter.page import presence; presence.PATIENCE = 1000", page="")
    done = kernel.run(code, page="", on_message=kernel.interrupt_when("line a", after=0.5) if "600" in code else None)
    assert done.status == ("error" if "600" in code else "ok")
    for replaces in (True, False):
        assert [line for line in seen(done, replaces=replaces) if line in LINES] == ["line a", "line c"][
            : 1 + ("600" not in code)
        ]


def gated(tmp_path):
    """A program that writes line b and line c when their files are there."""
    steps = "; ".join(f"while [ ! -e {tmp_path}/{name} ]; do sleep 0.02; done; echo line {name}" for name in "bc")
    return f"%aproc sh -c 'echo line a; {steps}'"


@pytest.mark.parametrize("is_away", [True, False], ids=["when the view was taken away", "below which text stands"])
def test_a_page_that_answers_late_gets_the_card_then(silent_kernel, tmp_path, is_away):
    kernel, held, answered, again = silent_kernel, [], [], []

    def look(message):
        held.append(message)
        if message["msg_type"] == ("update_display_data" if is_away else "display_data") and not answered:
            (tmp_path / "b").touch()
        elif message["msg_type"] == "stream" and "line b" in message["content"]["text"]:
            answered.append(True)
            for each in held:
                kernel.answer(each, "page-1")  # all that it has not said: it has drawn what is not there any more
        elif message["msg_type"] == "display_data" and answered:
            again.append(True)
            for operation in ("shown", "ping"):
                kernel.comm(*kernel.jobs, op=operation, job=next(iter(kernel.jobs.values())))
        elif again and is_tail(message, next(iter(kernel.jobs), "")):
            (tmp_path / "c").touch()

    if not is_away:
        kernel.run("from ipyproc._jupyter.page import presence; presence.PATIENCE = 1000", page="")
    done = kernel.run(gated(tmp_path), page="", on_message=look)
    assert len(done.cards) == 2 and done.cards[0] == done.cards[1], "it comes again"
    assert done.text().split("\n")[:2] == LINES[:2] and "line c" not in "".join(
        content["text"] for content in done.of_type("stream")
    )
    swap = done.displays[-1]["text/plain"].split("\n")
    assert swap[0] == "line c" and swap[1].startswith("✔ Done"), "what is above it is not said again"
    assert [line for line in seen(done, replaces=True) if line in LINES] == LINES
    done = kernel.run(SHORT)
    assert done.cards and not done.of_type("stream"), "from now on it is known"
    assert done.displays[-1]["text/plain"].startswith("line a\nline c\n✔ Done")


def test_a_page_that_has_the_widget_and_does_not_draw_it(fresh_kernel):
    """As one in which the cell is out of sight: the text is there, and the view stays in its place."""
    done = fresh_kernel.run(PROGRAM, page="")
    assert done.displays[-1]["text/plain"].startswith("✔ Done") and len(done.cards) == 1
    assert next(content["text"] for content in done.of_type("stream")).startswith("line a\nline b")
    assert [line for line in seen(done, replaces=True) if line in LINES] == LINES


def test_a_page_that_has_drawn_and_dies(fresh_kernel):
    page = Page(fresh_kernel)
    fresh_kernel.run("%aproc sleep 0.5", on_message=page)
    fresh_kernel.run("")
    done = fresh_kernel.run(PROGRAM, page="")
    assert done.displays[-1]["text/plain"].startswith("line a\nline b\nline c\n✔ Done") and not done.of_type("stream")


def test_a_console_beside_a_page(fresh_kernel):
    with connected(fresh_kernel.manager, Session) as console:
        for _ in range(2):
            done = fresh_kernel.run(PROGRAM)
            assert done.cards and done.displays[-1]["text/plain"].startswith("line a\nline b\nline c\n✔ Done")
            done = console.run(PROGRAM, page="")
            assert seen(done, replaces=False) == LINES and not done.displays


def test_two_pages_on_one_kernel_are_two(silent_kernel):
    """One draws cards, the other cannot: what the first has said is not said for the other."""
    with connected(silent_kernel.manager) as other:
        other.run("%reload_ext ipyproc")
        assert other.run("%aproc sleep 0.5").cards
        other.run("")
        done = silent_kernel.run(PROGRAM, page="")
        assert [line for line in seen(done, replaces=False) if line in LINES] == LINES
        assert next(content["text"] for content in done.of_type("stream")).startswith("line a"), "at once, as text"
        assert not silent_kernel.run(PROGRAM, page="").cards
        assert other.run("%aproc sleep 0.5").cards


def test_two_kernels_of_one_page_are_two(fresh_kernel):
    with kernel_session(page="") as other:
        other.client.session.session = fresh_kernel.client.session.session
        for widget, job in fresh_kernel.jobs.items():
            other.comm(widget, op="here", job=job)
            other.comm(widget, op="shown", job=job)
        other.run("", page="")
        done = other.run(PROGRAM, page="")
        assert seen(done, replaces=False) == LINES and seen(done, replaces=True) == LINES
        assert next(content["text"] for content in done.of_type("stream")).startswith("line a"), "at once, as text"


@contextlib.contextmanager
def greeted(kernel):
    """A client in Python, and the greeting that it gets when the extension is loaded: its id and its job."""
    with connected(kernel.manager, Session) as client:
        done = client.run("%reload_ext ipyproc", page="")
        client.run("", page="", on_message=done.messages.append)
        state = [
            (content["comm_id"], content["data"]["state"]["shown"]["job"])
            for content in done.of_type("comm_open", "comm_msg")
            if content["data"].get("state", {}).get("shown")
        ]
        yield (client, *state[0])


@pytest.mark.parametrize(
    "forged",
    [{"job": "0" * 32}, {"version": 1}, {"op": "hear"}, {"page": 3}, {"n": -1}],
    ids=lambda each: next(iter(each)),
)
def test_a_forged_greeting_is_not_heard(silent_kernel, forged):
    with greeted(silent_kernel) as (client, widget, job):
        client.comm(widget, **{"op": "here", "job": job, **forged})
        client.run("", page="")
        done = client.run(PROGRAM, page="")
        assert seen(done, replaces=False) == LINES and not done.displays


def test_a_greeting_without_a_page_behind_it_loses_nothing(silent_kernel):
    """Each client knows the job, as all are told: it says that it is there, draws nothing, and replaces nothing."""
    with greeted(silent_kernel) as (client, widget, job):
        client.comm(widget, op="here", job=job)
        client.run("", page="")
        done = client.run(PROGRAM, page="")
        assert len(done.cards) == 1 and [line for line in seen(done, replaces=False) if line in LINES] == LINES


def test_a_client_that_draws_cards_and_replaces_nothing(silent_kernel):
    with greeted(silent_kernel) as (client, widget, job):
        client.run("from ipyproc._jupyter.page import widget; widget.LINGER = 0.1", page="")
        client.comm(widget, op="here", job=job)
        client.run("", page="")
        page = Page(client)
        done = client.run(PROGRAM, on_message=page)
        assert [VIEW in content["data"] for content in done.of_type("display_data")] == [True]
        assert not done.of_type("stream"), "the card shows it"
        assert tails(done.messages, page.card)[-1][1] == "1line a\n1line b\n1line c"
        page.send("watch", view="v", on=True)
        client.run("await __import__('asyncio').sleep(0.5)")
        page.send("ping")
        client.idle_messages(lambda message: is_tail(message, page.card))  # it stays, as somebody looks at it
        page.send("bye")
        page.send("watch", view="v", on=False)
        client.idle_messages(lambda m: m["msg_type"] == "comm_close" and m["content"]["comm_id"] == page.card)


def test_two_pages_of_one_notebook(fresh_kernel):
    """As with jupyter-collaboration: both draw the card, both can stop it, both put the transcript in its place."""
    kernel = fresh_kernel
    kernel.run("from ipyproc._jupyter.page import widget; widget.LINGER = 0.1")
    page, asked = Page(kernel), []

    def look(message):
        page(message)
        if page.card and kernel.jobs.get(page.card) and not asked:
            asked.append(True)
            page.send("ready", page="page-2")
            page.send("shown", page="page-2")
            page.send("stop", page="page-2")

    done = kernel.run("%aproc {program} out ready stall", on_message=look)
    assert done.error.startswith("ProcessStopped")
    assert sum("ipyproc-transcript" in each.get("text/html", "") for each in done.displays) == 1
    page.send("bye", page="page-1")
    page.send("bye", page="page-2")
    kernel.idle_messages(lambda m: m["msg_type"] == "comm_close" and m["content"]["comm_id"] == page.card)


def test_a_page_that_is_loaded_anew_says_that_it_is_there(silent_kernel):
    """It asks the kernel for its widgets, and finds the greeting."""
    client = silent_kernel.client
    client.shell_channel.send(client.session.msg("comm_info_request", {"target_name": "jupyter.widget"}))
    reply = client.get_shell_msg(timeout=60)
    while reply["msg_type"] != "comm_info_reply":
        reply = client.get_shell_msg(timeout=60)
    for widget in reply["content"]["comms"]:
        client.shell_channel.send(
            client.session.msg("comm_msg", {"comm_id": widget, "data": {"method": "request_state"}})
        )
    silent_kernel.run("")  # which answers as a page what it is told
    done = silent_kernel.run(SHORT)
    assert done.cards and not done.of_type("stream")
    silent_kernel.run("%unload_ext ipyproc")
    kinds = "from ipywidgets.widgets.widget import _instances; [type(each).__name__ for each in _instances.values()]"
    assert "Greeting" not in silent_kernel.run(kinds).value


def shell_with(request, *, channels=True, module="ipykernel.ipkernel"):
    """As much of an IPython as tells who asks."""
    get_parent = (lambda self, channel: request) if channels else (lambda self: request)
    kind = type("Kernel", (), {"get_parent": get_parent, "__module__": module})
    return types.SimpleNamespace(kernel=kind())


@pytest.mark.parametrize("channels", [True, False], ids=["ipykernel", "xeus-python"])
@pytest.mark.parametrize(
    ("kind", "content", "is_headless"),
    [
        ("execute_request", {"allow_stdin": True}, False),
        ("execute_request", {"allow_stdin": False}, True),
        ("execute_request", {}, True),  # an engine of ipyparallel
        ("comm_msg", {"data": {}}, False),  # a button has called
    ],
)
def test_whether_somebody_looks_on_is_in_the_request(channels, kind, content, is_headless):
    shell = shell_with({"header": {"msg_type": kind, "session": "s"}, "content": content}, channels=channels)
    assert room.is_headless(shell) is is_headless and room.session_of(shell) == "s"


@pytest.mark.parametrize(
    ("number", "is_python"),
    [
        pytest.param(Session().msg_id, True, id="what jupyter_client gives now"),
        ("0d3ab2c1-5c0d4f0a9d1b4d0d8a3c1f2e_4711_12", True),
        ("3f2504e0-4f89-41d3-9a0c-0305e82c3301", False),  # JupyterLab, Notebook 7, VS Code
        ("3F2504E04F8941D39A0C0305E82C3301", False),  # nbclassic
        ("", False),
        (None, False),
    ],
)
def test_who_asks_is_in_the_number_of_the_request(number, is_python):
    assert room.is_python_client(shell_with({"header": {"msg_id": number}})) is is_python


def test_an_engine_of_ipyparallel_blocks(monkeypatch):
    line = ["get_ipython().run_line_magic('aproc', 'true')\n"]
    for module, is_awaited in (("ipyparallel.engine.kernel", False), ("ipykernel.ipkernel", True)):
        shell = shell_with({}, module=module)
        shell.autoawait = True
        monkeypatch.setattr(awaiting, "get_ipython", lambda shell=shell: shell)
        assert ("await" in awaiting.transform(line)[0]) is is_awaited


def test_many_clients_come_and_go():
    for number in range(3000):
        presence.hear(f"client {number}", "here")
    presence.hear(None, "here")
    presence.hear("forged" * 1000, "shown")
    assert len(presence._clients) <= 1000 and max(map(len, presence._clients)) <= 100


def test_a_client_that_is_silent_for_long_is_tried_no_more(monkeypatch):
    at = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: at[0])
    client = presence.Client()
    assert client.may_draw
    client.try_widget()
    at[0] += presence.PATIENCE - 0.1
    client.try_widget()
    assert client.may_draw
    at[0] += 0.2
    assert not client.may_draw
    client.is_here = True
    assert client.may_draw
    client.is_page = False
    assert client.may_draw


def late_page(kernel, code, then):
    """Run it in a page that is heard of only when there is text; call `then` when it has drawn the card."""
    held, heard, drawn = [], [], []

    def look(message):
        held.append(message)
        if heard or message["msg_type"] == "stream":
            for each in held[len(heard) :]:
                kernel.answer(each, "page-1")
            heard[:] = held
        if heard and not drawn and is_tail(message, message["content"].get("comm_id", "")):
            drawn.append(True)
            then()

    return kernel.run(code, page="", on_message=look)


def test_what_changes_above_the_card_is_said_again(silent_kernel, tmp_path):
    """The program moves up when the card has taken over: what stands in the text is out of date then."""
    program = tmp_path / "program.sh"
    program.write_text(
        f"echo one 0; echo two 0; while [ ! -e {tmp_path}/go ]; do sleep 0.02; done; sleep 0.5\n"
        r"printf '\033[2Aone 100\n\033[Ktwo 100\n'; sleep 0.3; echo three"
    )
    done = late_page(silent_kernel, f"%aproc sh {program}", (tmp_path / "go").touch)
    assert done.cards and not any("three" in content["text"] for content in done.of_type("stream")), "the card has it"
    said = seen(done, replaces=True)
    assert said[:5] == ["one 0", "two 0", "one 100", "two 100", "three"] and said[5].startswith("✔ Done")


def test_what_is_typed_while_text_stands_in_is_in_the_text(silent_kernel):
    """A prompt keeps the line open, so the card cannot go on where the text ends."""
    kernel = silent_kernel

    def type_it():
        for card, job in kernel.jobs.items():
            kernel.comm(card, op="stdin", job=job, text="bob\n")

    code = "%aproc --stdin ask sh -c 'printf \"Name: \"; read x; echo line $x; echo line c'"
    done = late_page(kernel, code, type_it)
    assert done.text() == "Name: bob\nline bob\nline c\n"
    assert not any("line bob" in each["text/plain"] for each in done.displays), "it is said once"


def test_a_program_that_waits_for_input_ends_where_the_page_is_silent(silent_kernel):
    """Its patience is over between the check of the line and the card: the program reads the end of its input all the same."""
    silent_kernel.run(
        "from ipyproc._jupyter.page import presence\nfrom ipyproc._jupyter.views import card\n"
        "presence.PATIENCE = 0.1; card._TYPING_PATIENCE = 0.5\npresence.client(get_ipython()).try_widget()\n"
        "await __import__('asyncio').sleep(0.2)",
        page="",
    )
    assert silent_kernel.run("%aproc --stdin ask cat", page="").error.startswith("UsageError: --stdin ask")
    code = "presence.PATIENCE = 1000\nx = %aproc --stdin ask sh -c 'echo line a; exec cat'\nx.returncode"
    done = silent_kernel.run(
        f"__import__('asyncio').get_running_loop().call_later(0.05, setattr, presence, 'PATIENCE', 0.1)\n{code}",
        page="",
    )
    assert (done.error, done.value) == ("", "0")
    assert [line for line in seen(done, replaces=False) if line in LINES] == ["line a"]


def test_a_short_program_in_a_client_that_says_it_is_there_and_draws_nothing(silent_kernel):
    with greeted(silent_kernel) as (client, widget, job):
        client.comm(widget, op="here", job=job)
        client.run("", page="")
        done = client.run("%aproc --no-raise-error sh -c 'echo line a; sleep 0.5; exit 3'", page="")
        _, *said = seen(done, replaces=False)  # the first is what the card's display says as text
        assert said[0] == "line a" and said[1].startswith("✘ Failed, exit 3"), "it puts no transcript there"


@pytest.mark.parametrize("has_drawn", [True, False])
def test_many_commands_in_a_client_that_replaces_nothing(silent_kernel, has_drawn):
    """Its card stays and shows the end; if it has never drawn one, there is text."""
    with greeted(silent_kernel) as (client, widget, job):
        for operation in ("here", *(["shown"] if has_drawn else [])):
            client.comm(widget, op=operation, job=job)
        client.run("", page="")
        code = "import ipyproc; _ = await ipyproc.parallel([['sleep', '0.7'], ['true']])"
        messages = client.run(code, page="page-1" if has_drawn else "").messages
        pictures = [
            message["content"]["data"]["content"]["picture"]
            for message in messages
            if message["msg_type"] == "comm_msg"
            and message["content"]["data"].get("content", {}).get("op") == "picture"
        ]
        done = CellRun(messages=messages)
        if has_drawn:
            assert pictures[-1]["over"] and pictures[-1]["sentence"].startswith("2 of 2 done") and not done.text()
        else:
            assert not done.displays and seen(done, replaces=False)[-1].startswith("2 of 2 done")


@pytest.mark.parametrize("code", [PROGRAM, "import ipyproc; _ = await ipyproc.parallel([['sleep', '1.8']])"])
def test_what_another_page_of_the_kernel_has_is_not_said_for_this_one(silent_kernel, code):
    """All pages of a kernel hear of each widget: the one that runs the cell cannot draw it, and another one says that it has it."""
    with connected(silent_kernel.manager) as other:

        def look(message):
            if message["msg_type"] in ("comm_open", "comm_msg"):
                job = message["content"]["data"].get("state", {}).get("shown", {}).get("job")
                if job:
                    other.comm(message["content"]["comm_id"], op="here", job=job, page="other")

        done = silent_kernel.run(code, page="", on_message=look)
    views = [VIEW in each for each in done.displays]
    assert views[:2] == [True, False] and not any(views[1:]), "the view is taken away"
    if code == PROGRAM:
        at = [
            time
            for time, message in zip(done.times, done.messages, strict=True)
            if message["msg_type"] == "update_display_data"
        ]
        assert done.ended_at - at[0] > 0.3, "before the end"


def test_the_table_becomes_text_in_a_page_that_never_answers(silent_kernel):
    for code, is_text in (("sleep(1.6)", True), ("sleep(0.1)", False)):
        done = silent_kernel.run(f"from asyncio import sleep\n%reload_ext ipyproc\n%aprocs\nawait {code}", page="")
        if is_text:
            assert [VIEW in each for each in done.displays] == [True, False]
            assert done.displays[0]["text/plain"] == done.displays[1]["text/plain"] == "no process was started yet"
        else:
            assert not done.displays and done.text() == "no process was started yet\n"


def test_the_table_stays_where_the_page_answers_after_the_kernel_was_busy(silent_kernel):
    done = silent_kernel.run("%aprocs\n__import__('time').sleep(1.5)\nawait __import__('asyncio').sleep(1.5)")
    assert [VIEW in each for each in done.displays] == [True]


def test_a_card_that_comes_late_comes_into_its_own_cell(silent_kernel, tmp_path):
    """Another cell has run meanwhile. ipykernel 6 would display it there: then the text goes on."""
    kernel, held = silent_kernel, []
    wait = f"while [ ! -e {tmp_path}/b ]; do sleep 0.02; done"
    cell = kernel.run(f"%aproc --bg --proc p sh -c 'echo line a; {wait}; echo line b'", page="", on_message=held.append)
    held += kernel.idle_messages(lambda message: message["msg_type"] == "update_display_data")  # it was taken away
    held += kernel.run("2", page="").messages
    for message in held:
        kernel.answer(message, "page-1")
    looked = "await __import__('asyncio').sleep(0.6)"
    later = kernel.run(looked)
    (tmp_path / "b").touch()
    later.messages += kernel.run(f"await p.wait(); await p.log.finished()\n{looked}").messages + later.strays
    shown = [message for message in held + later.messages if message["msg_type"] == "display_data"]
    shown += [message for message in kernel.run("").strays if message["msg_type"] == "display_data"]
    assert {message["parent_header"]["msg_id"] for message in shown} == {cell.request}


def test_all_widgets_were_closed(fresh_kernel):
    """`Widget.close_all()` is how people clean up; our table and the greeting are made anew."""
    fresh_kernel.run("%aprocs")
    fresh_kernel.run("import ipywidgets; ipywidgets.Widget.close_all()")
    done = fresh_kernel.run("%aprocs")
    assert len(done.cards) == 1 and not done.of_type("stream")
    kinds = (
        "from ipywidgets.widgets.widget import _instances; sorted(type(each).__name__ for each in _instances.values())"
    )
    assert fresh_kernel.run(kinds).value.count("Greeting") == 1
