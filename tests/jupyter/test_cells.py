"""`%%aproc` and `%aproc` in a real kernel: what a cell shows, hands over, awaits and refuses."""

import json
import re
import sys

import pytest

from .kernel_session import PROGRAMS


def test_a_script_streams_and_shows_no_card_when_it_is_over_at_once(kernel):
    done = kernel.run("%%aproc\necho out\necho err >&2")
    assert (done.status, done.text(), done.text("stderr"), done.cards) == ("ok", "out\n", "err\n", [])


def test_a_child_that_reads_stdin_cannot_eat_the_script(kernel):
    assert kernel.run("%%aproc\necho before; cat; echo after").text() == "before\nafter\n"


@pytest.mark.parametrize(
    ("line", "body", "status", "text"),
    [
        ("", "false | true\necho on", "error", ""),
        ("", "false; echo on", "error", ""),
        ("--no-strict", "false | true; false; echo on", "ok", "on\n"),
        ("--shell sh", "echo $0; false; echo on", "error", "sh\n"),
        ("--shell /bin/sh --no-strict", "false; echo on", "ok", "on\n"),
    ],
)
def test_scripts_are_strict_unless_told(kernel, line, body, status, text):
    done = kernel.run(f"%%aproc {line}\n{body}")
    assert (done.status, done.text()) == (status, text)


def test_line_ends_of_windows(kernel):
    lines = (
        "%%aproc",
        "for i in 1 2; do",
        "  case $i in",
        "    2) echo two ;;",
        "  esac",
        "done",
        "cat <<X",
        "text",
        "X",
    )
    assert kernel.run("\r\n".join(lines)).text() == "two\ntext\n"
    assert kernel.run("%%aproc --shell sh\r\nif true; then\r\necho yes\r\nfi\r\n").text() == "yes\n"
    assert kernel.run("%%aproc od -An -c\r\na\r\nb\r\n").text().split() == ["a", r"\n", "b", r"\n"]


def test_the_body_is_the_programs_input(kernel):
    assert kernel.run("%%aproc {sys.executable}\nprint('{sys}')").text() == "{sys}\n"
    assert kernel.run("x = 'a b'\nl = [1, 2]").status == "ok"
    assert kernel.run("%%aproc --expand\nprintf '<%s>' {x} {l} {{x}}").text().rstrip("\n") == "<a b><1><2><{x}>"
    assert kernel.run("%%aproc --expand cat\n{x}").text() == "a b\n"


def test_a_line_is_one_command_without_a_shell(kernel):
    assert kernel.run("v = 'a; echo $HOME'\n%aproc printf <%s> {v} '$HOME' * '~' '{v}'").text() == (
        "<a; echo $HOME><$HOME><*><~><a; echo $HOME>"
    )


def test_an_expression_of_a_line_sees_what_the_code_around_it_sees(kernel):
    kernel.run("import os\nbase, n = '/a b', 1\ndef f(n):\n    %aproc printf <%s> {n + 1} {os.path.join(base, str(n))}")
    assert kernel.run("f(41)").text().rstrip("\n") == "<42></a b/41>"
    assert kernel.run("async def g(n):\n    %aproc printf <%s> {n + 1}\nawait g(1)").text().rstrip("\n") == "<2>"
    assert kernel.run("for i in range(2):\n    %aproc printf <%s> {i * 2}").text().replace("\n", "") == "<0><2>"
    assert kernel.run(
        "%%aproc --expand\nprintf '<%s>' {os.path.basename(base)} {[n, n + 1]}; echo ${BASH##*/}"
    ).text() == ("<a b><1><2>bash\n")


def test_variables(kernel):
    done = kernel.run("%%aproc --out o --err e --proc p\necho out; echo err >&2; exit 3")
    assert done.error == "ProcessExitError: `echo out; echo err >&2; exit 3` exited with status 3\nerr"
    assert done.text() == done.text("stderr") == ""
    assert kernel.run("o, e, p.returncode").value == "('out\\n', 'err\\n', 3)"
    done = kernel.run("%%aproc --out o --tee\necho both")
    assert done.text() == "both\n" and kernel.run("o").value == "'both\\n'"


def test_options_reach_the_program(kernel):
    done = kernel.run(
        "%%aproc --cwd / --env A=1 --env B={sys.version_info[0]} --stdin /etc/hostname\npwd; echo $A$B; cat"
    )
    assert done.text().splitlines()[:2] == ["/", "13"] and len(done.text().splitlines()) == 3


def test_result_of_the_line_magic(kernel):
    done = kernel.run("r = %aproc {program} out hi err there\n(r.stdout, r.stderr, r.returncode, type(r).__name__)")
    assert done.value == "('hi\\n', 'there\\n', 0, 'CompletedProcess')"


def test_nothing_is_displayed_for_a_magic_of_its_own(kernel):
    for code in ("%aproc true", "%%aproc\ntrue", "1\n%aproc true", "%time %aproc true", "%%time\n%aproc true"):
        done = kernel.run(code)
        assert (done.status, done.value) == ("ok", ""), code


def test_the_cell_is_truly_awaited(kernel):
    done = kernel.run(
        "import asyncio\n"
        "ticks = []\n"
        "async def tick():\n"
        "    while True:\n"
        "        ticks.append(1)\n"
        "        await asyncio.sleep(0.01)\n"
        "ticking = asyncio.create_task(tick())\n"
        "%aproc --quiet sleep 0.5\n"
        "ticking.cancel()\n"
        "len(ticks) > 10"
    )
    assert done.value == "True"


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("for i in range(3):\n    %aproc echo {i}", "0\n1\n2\n"),
        ("if True:\n    %aproc echo if", "if\n"),
        ("%aproc echo a\n%aproc echo b", "a\nb\n"),
        ("async def f(x):\n    %aproc echo {x}\nawait f('async')", "async\n"),
        ("await asyncio.gather(f('1'), f('1'))", "1\n1\n"),
        ("def g(x):\n    %aproc echo {x}\ng('plain')", "plain\n"),
        ("%time %aproc echo timed", "timed\n"),
        ("%%time\n%aproc echo timed", "timed\n"),
        ("%timeit -n1 -r1 %aproc echo timed", "timed\n"),
        ("%%capture c\n%aproc echo captured", ""),
        ("print(c.stdout, end='')", "captured\n"),
        ("get_ipython().run_line_magic('aproc', 'echo called')", "called\n"),
        ("ip = get_ipython(); r = ip.run_line_magic('aproc', 'echo called'); print(r.returncode)", "called\n0\n"),
    ],
)
def test_awaited_and_synchronous(kernel, code, text):
    done = kernel.run(code)
    assert done.status == "ok", done.error
    assert done.text().startswith(text)


@pytest.mark.parametrize(
    "code", ["%%capture c\n%aproc sh -c {script}", "with capture_output() as c:\n    %aproc sh -c {script}"]
)
def test_what_is_captured_is_text(kernel, code):
    kernel.run("from IPython.utils.capture import capture_output\nscript = 'echo one; sleep 0.4; echo two'")
    done = kernel.run(code)
    assert not done.cards and done.text() == ""
    assert kernel.run("c.stdout, c.outputs").value == "('one\\ntwo\\n', [])"


def test_without_autoawait(kernel):
    kernel.run("%autoawait off")
    try:
        assert kernel.run("%aproc echo off").text() == "off\n"
        assert kernel.run("%autoawait on\n%aproc echo on").text() == "on\n"
        assert kernel.run("%autoawait off\n%aproc echo off").text() == "off\n"
    finally:
        kernel.run("%autoawait on")


def test_queued_cells_all_run_around_a_synchronous_one(fresh_kernel):
    requests = [
        fresh_kernel.client.execute(code) for code in ("g = 1\ndef f():\n    %aproc sleep 0.3\nf()", *["g += 1"] * 5)
    ]
    replies = {}
    while len(replies) < len(requests):
        reply = fresh_kernel.client.get_shell_msg(timeout=60)
        replies[reply["parent_header"]["msg_id"]] = reply["content"]["status"]
    assert [replies[request] for request in requests] == ["ok"] * 6
    assert fresh_kernel.run("g").value == "6"


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("%%aproc --otu x\necho", "UsageError: unknown option --otu; did you mean --out?"),
        ("%aproc --timeout 5x ls", "UsageError: --timeout: '5x' is not a duration"),
        ("%aproc --out", "UsageError: --out needs a value: --out NAME, -o NAME"),
        ("%aproc", "UsageError: %aproc needs a program"),
        ("%aproc --bg", "UsageError: %aproc needs a program"),
        ("%%aproc\n\n  \n", "UsageError: %%aproc: the cell is empty"),
        ("%%aproc", "UsageError: %%aproc: the cell is empty; write a script below the line, or use %aproc PROGRAM"),
        ("%%aproc ls", "UsageError: %%aproc: the cell is empty; without a body for its input, write %aproc"),
        ("%time\n%%aproc", "UsageError: Line magic function `%%aproc` not found"),
        ("%aproc -x ls", "UsageError: unknown option -x; there are --bg"),
        (
            "%aproc nosuchprogram",
            "FileNotFoundError: [Errno 2] no such program in PATH; install it, or write its path: 'nosuchprogram'",
        ),
        ("%%aproc --shell nosuchshell\nls", "UsageError: %%aproc: there is no shell 'nosuchshell'; name another one"),
        ("%aproc *.txt", "UsageError: '*.txt' is for a shell, and there is none here; write the line below %%aproc"),
        ("%%aproc --shell cat\nls", "UsageError: --shell cat: its strict options are not known; add --no-strict"),
        ("%aproc --cwd /nosuch ls", "FileNotFoundError: [Errno 2] cwd: no such directory: '/nosuch'"),
        ("%aproc --stdin /nosuch cat", "UsageError: --stdin: no such file: '/nosuch'"),
        ("%%aproc --stdin none cat\nx", "UsageError: --stdin: the body of the cell is the program's standard input"),
        ("%aproc --expand ls", "UsageError: --expand goes with a %%aproc cell"),
        ("%aproc /etc/passwd", "PermissionError: [Errno 13] not executable"),
        ("%aproc ls a\0b", "ValueError: "),
        ("n = 'a\\0b'\n%aproc ls {n}", "ValueError: argument 1 ('a\\x00b') holds a NUL character"),
        ("big = 'x' * 140_000\n%aproc ls {big}", "OSError: [Errno 7] argument 1 is too long: 140,001 bytes, and the"),
        (
            "%aproc --env BIG={big} ls",
            "OSError: [Errno 7] the environment variable BIG is too long: 140,005 bytes, and",
        ),
        (
            "%aproc --log /nosuch/folder/a.log ls",
            "UsageError: --log /nosuch/folder/a.log: '/nosuch/folder': there is no such",
        ),
        ("%aproc --log /etc/passwd/a.log ls", "UsageError: --log /etc/passwd/a.log: '/etc/passwd': is no folder"),
        ("%aproc --log /tmp ls", "UsageError: --log: cannot write to '/tmp': Is a directory"),
        ("%aproc --shell sh ls", "UsageError: --shell and --no-strict go with a script"),
        ("%aproc cd /tmp", "UsageError: 'cd' is for a shell, and there is none here; write the line below %%aproc"),
        ("%aproc A=1 env", "UsageError: 'A=1' is for a shell"),
        ("%aproc ./a=1", "FileNotFoundError: [Errno 2] no such program: './a=1'"),
        ("%aproc ls | wc -l", "UsageError: | is for a shell, and there is none here: write the line below %%aproc"),
        ("%aproc --help", "UsageError: %aproc? shows the help"),
        ("%aproc --stdin /tmp cat", "UsageError: --stdin: '/tmp' is a directory, not a file"),
        (
            "import os, tempfile; fifo = os.path.join(tempfile.mkdtemp(), 'f'); os.mkfifo(fifo)\n%aproc --stdin {fifo} cat",
            "UsageError: --stdin: '/tmp/",
        ),
        ("%aproc ls {undefinedq}", "UsageError: {undefinedq}: the name 'undefinedq' is not defined."),
    ],
)
def test_bad_input_is_one_clear_error_and_nothing_starts(kernel, code, error):
    done = kernel.run(code)
    assert done.error.startswith(error) or ("\0" in code and done.status == "error")
    assert not done.displays
    assert kernel.run(PROGRAMS).value == "[]"
    assert (
        kernel.run("from ipyproc._core.output import storage; sorted(storage.directory().glob('*.sh'))").value == "[]"
    )


def test_a_failure_is_told_in_the_users_own_lines(kernel):
    done = kernel.run("print(1)\n%aproc {program} err 'what happened' exit 2\nprint(2)")
    assert done.text() in ("1\n", "1\nwhat happened\n"), "with a card, on a loaded machine"
    assert re.match(r"ProcessExitError: `.*` exited with status 2\nwhat happened", done.error)
    traceback = "\n".join(done.reply["traceback"])
    assert "ipyproc/_jupyter" not in traceback and "interactiveshell" not in traceback
    plain = re.sub(r"\x1b\[[\d;]*m", "", traceback)
    assert (
        "----> 2 %aproc {program} err 'what happened' exit 2\n      3 print(2)\n" in plain
        and "aproc_awaited" not in plain
    )


WRITTEN = {
    "its own line": (
        "x = 1\nif x:\n    y = %aproc nosuchprog 'a b'  {x}",
        "----> 3     y = %aproc nosuchprog 'a b'  {x}",
    ),
    "a line nearby": ("%aproc true\n%aprocs list\n1/0", "      1 %aproc true\n      2 %aprocs list\n----> 3 1/0"),
    "a plain function": ("def f():\n    %aproc nosuchprog\nf()", "----> 2     %aproc nosuchprog"),
    "a task": (
        "import asyncio\nasync def g():\n    %aproc nosuchprog\nawait asyncio.gather(g())",
        "----> 3     %aproc nosuchprog",
    ),
    "a cause": (
        "try:\n    %aproc nosuchprog\nexcept OSError as e:\n    raise KeyError from e",
        "      2     %aproc nosuchprog",
    ),
    "a group": (
        "async def g():\n    %aproc nosuchprog\nasync with asyncio.TaskGroup() as group:\n    task = group.create_task(g())",
        "line 2, in g\n    |     %aproc nosuchprog\n    | FileNotFoundError: ",
    ),
}


@pytest.mark.parametrize("mode", ["Context", "Verbose", "Plain", "Minimal"])
@pytest.mark.parametrize("name", WRITTEN)
def test_a_traceback_shows_the_line_that_the_user_has_written(kernel, name, mode):
    code, shown = WRITTEN[name]
    kernel.run(f"%xmode {mode}")
    try:
        done = kernel.run(code)
    finally:
        kernel.run("%xmode Context")
    told = done.text("stderr") if name == "a group" else "\n".join(done.reply["traceback"])
    told = re.sub(r"\x1b\[[\d;]*m|\n *\| *[~^]+(?=\n)", "", told)
    assert done.status == "error" and "run_line_magic" not in told and "_awaited" not in told and "_jupyter" not in told
    if mode == "Context":
        assert shown in told
    elif mode != "Minimal" and name != "a line nearby":
        assert "%aproc nosuchprog" in told


def test_only_a_traceback_shows_it(kernel):
    assert kernel.run('def f():\n    %aproc nosuchprog \'it"""s\'\ndef g():\n    return 1\nf()').status == "error"
    source = kernel.run(
        "import ast, inspect; ast.parse(inspect.getsource(f)); inspect.getsource(f), inspect.getsource(g)"
    ).value
    assert "run_line_magic" in source and "return 1" in source, "what reads the source can parse it"


def test_a_signal_is_named(kernel):
    assert kernel.run("%%aproc\nkill -SEGV $$").error.endswith("was ended by SIGSEGV")


def test_no_raise_error(kernel):
    assert kernel.run("%aproc --no-raise-error false").status == "ok"
    assert kernel.run("r = %aproc --no-raise-error {program} exit 4\nr.returncode").value == "4"
    kernel.run("%config AProcMagics.raise_error = False")
    assert kernel.run("%aproc false").status == "ok"
    kernel.run("%config AProcMagics.raise_error = True")


def test_timeout(kernel):
    done = kernel.run("%aproc --timeout 0.3 {program} stall")
    assert done.error.startswith("ProcessTimeout: ") and done.error.endswith("was stopped after its timeout of 0.3 s")
    done = kernel.run("%aproc --timeout 0.5 --grace 0.2 --proc p {program} ignore TERM stall")
    assert done.error.startswith("ProcessTimeout: ")
    assert kernel.run("p.returncode, p.family.alive()").value == "(-9, set())"


def test_quiet(kernel):
    done = kernel.run("%%aproc -q\necho shown; sleep 0.5")
    assert (done.status, done.text(), done.displays) == ("ok", "", [])
    assert "last words" in kernel.run("%%aproc -q\necho last words >&2; exit 1").error


def test_plain(kernel):
    done = kernel.run("%%aproc --plain\necho a; sleep 0.5; echo b")
    assert (done.text(), done.displays) == ("a\nb\n", [])


def test_large_output_is_bounded_in_the_cell_and_whole_in_the_log(kernel):
    done = kernel.run("r = %aproc --plain {program} lines 200000")
    assert 60_000 < len(done.text()) < 70_000
    path = re.search(r"\.\.\. 19\d,\d+ lines, 2\.\d MB not shown; full log: (\S+)", done.text())[1]
    assert done.text().startswith("line 0\n") and done.text().endswith("line 199999\n")
    with open(path) as log:
        assert sum(1 for _ in log) == 200_000
    assert kernel.run("len(r.stdout.splitlines()), r.log.lines").value == "(200000, 200000)"


def test_python_programs_are_not_buffered(kernel):
    assert kernel.run("%aproc {program} env PYTHONUNBUFFERED").text() == "1\n"
    assert kernel.run("%aproc --env PYTHONUNBUFFERED= {program} env PYTHONUNBUFFERED").text() == "\n"


def test_help_config_and_completion(kernel):
    told = kernel.client.inspect("%aproc", reply=True, timeout=60)["content"]["data"]["text/plain"]
    assert "--timeout DUR" in told and "standard input" in told
    assert "grace" in kernel.run("%config AProcMagics").text()
    matches = kernel.client.complete("%aproc --ti", reply=True, timeout=60)["content"]["matches"]
    assert "--timeout" in matches


def test_unload_undoes_all(fresh_kernel):
    fresh_kernel.run("%aproc --bg --proc p {program} stall")
    assert fresh_kernel.run("p.returncode").value == ""
    assert fresh_kernel.run("%unload_ext ipyproc").status == "ok"
    assert fresh_kernel.run("await p.wait()").value == "-15"
    assert "not found" in fresh_kernel.run("%aproc echo x").error
    assert fresh_kernel.run("get_ipython().input_transformers_post").value == "[]"
    assert "AProcMagics" not in fresh_kernel.run("%config").text()
    assert fresh_kernel.run("%load_ext ipyproc\n1").status == "ok"
    assert fresh_kernel.run("%aproc echo again").text() == "again\n"
    assert fresh_kernel.run("%reload_ext ipyproc").status == "ok"
    assert fresh_kernel.run("%aproc echo again").text() == "again\n"


def test_operators_may_be_arguments_when_quoted(kernel):
    assert kernel.run("""%aproc printf <%s> '|' "a > b" x='a | b'""").text().rstrip("\n") == "<|><a > b><x=a | b>"
    assert kernel.run("%aproc --cwd ~ pwd").text() == kernel.run("import os; print(os.path.expanduser('~'))").text()


@pytest.mark.skipif(sys.platform == "win32", reason="there no directory can be removed that somebody is in")
def test_the_directory_of_the_kernel_may_be_gone(fresh_kernel):
    fresh_kernel.run("import os, tempfile; gone = tempfile.mkdtemp(); os.chdir(gone); os.rmdir(gone)")
    assert fresh_kernel.run("%aproc echo hello").text() == "hello\n"
    said = fresh_kernel.run(
        "%%aproc\nx=1; echo $x"
    ).text()  # bash says that it is gone; shown at once, both streams are one text
    assert said.splitlines()[-1] == "1"
    assert fresh_kernel.run("%%aproc --cwd /tmp\npwd").text() == "/tmp\n"
    assert "'below'" in fresh_kernel.run("%aproc --cwd below true").error
    assert "'.venv' is no virtual environment" in fresh_kernel.run("%aproc --venv .venv true").error


def test_a_long_line_is_no_burden(kernel):
    import time

    kernel.run("%aproc --out warm {program} lines 1")
    started = time.monotonic()
    done = kernel.run("%%aproc {sys.executable}\nprint('x' * 2_000_000)")
    assert time.monotonic() - started < 15
    assert done.text().startswith("x" * 10_000 + " … 1990000 more characters\n")


def test_from_a_thread_of_the_users_own(kernel):
    done = kernel.run(
        "import asyncio, threading\n"
        "ip, got = get_ipython(), []\n"
        "def work():\n"
        "    got.append(ip.run_line_magic('aproc', '--quiet echo from a thread').stdout)\n"
        "threads = [threading.Thread(target=work) for _ in range(3)]\n"
        "for thread in threads: thread.start()\n"
        "while any(thread.is_alive() for thread in threads): await asyncio.sleep(0.01)\n"
        "got"
    )
    assert done.value == str(["from a thread\n"] * 3)


def test_many_runs_leave_nothing_behind(fresh_kernel):
    count = (
        "import os, asyncio, gc, ipywidgets, psutil; await asyncio.sleep(0.3); from ipyproc._core.output import storage; gc.collect(); "
        "[len(os.listdir('/proc/self/fd')), len(asyncio.all_tasks()), len(psutil.Process().children()), "
        "len(list(storage.directory().iterdir())), len(ipywidgets.Widget.widgets)]"
    )

    def run_some(times):
        for code in (f"for i in range({times}):\n    %aproc --out x echo hi", *["%aproc sleep 0.25"] * (times // 10)):
            for card in fresh_kernel.run(code).cards:  # on a loaded machine of `echo` too
                fresh_kernel.comm(card, op="bye", job=fresh_kernel.jobs[card])
        return fresh_kernel.run(count).value

    before, after = json.loads(run_some(20)), json.loads(run_some(100))
    # what is left by each run would be tens; on a loaded machine the last card may still be on its way
    assert all(more - less <= 3 for less, more in zip(before, after, strict=True)), (before, after)
