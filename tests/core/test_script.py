"""Scripts for a shell: as `%%bash` has them, and as `bash -e -o pipefail` runs them; and which command of one has failed."""

import asyncio
import functools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import ipyproc
from ipyproc._core.batch.completed import CompletedProcess
from ipyproc._core.batch.stage import finish
from ipyproc._core.failed_command import failed_command
from ipyproc._core.output import storage
from ipyproc._core.process.start import start
from ipyproc._core.program import script
from ipyproc._core.program.spec import Spec

from ..hostile import OUTPUTS

pytestmark = [
    pytest.mark.pure,
    pytest.mark.usefixtures("nothing_left"),
    pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here"),
]
STRICT = ("bash", "-e", "-o", "pipefail")
SCRIPTS = sorted((Path(__file__).parent / "scripts").glob("*.sh"))
FAILED = {  # None: bash does not say, or the script hears of its failures itself
    "aliases_and_eval": "line 4: `false` exited with 1",
    "arithmetic_and_tests": "line 6: `(( n ))` exited with 1",
    "background": "line 6: `wait $!` exited with 3",
    "background_subshell": "line 11: `false` exited with 1",
    "command_not_found": "line 2: `nosuchcommand --flag` exited with 127",
    "conditions": None,
    "continued": "line 4: `ls -d /nonexistent / > /dev/null` exited with 2",
    "deep_functions": 'line 8: `grep -q "needle" /dev/null` exited with 1',
    "environment": None,
    "errtrace": None,
    "errtrace_of_a_child": None,
    "exec": None,
    "exec_redirection": "line 4: `ls -d /nonexistent/dir` exited with 2",
    "exit_by_itself": None,
    "exit_trap_changes_status": "line 2: `false` exited with 1",
    "first_line_syntax_error": None,
    "function": 'line 3: `test -e "$1"` exited with 1',
    "group_and_redirection": None,
    "here_documents": 'line 8: `grep -q nobody <<< "$name"` exited with 1',
    "inherit_errexit": "line 3: `x=$(false; echo kept)` exited with 1",
    "killed_by_itself": None,
    "last_and_list": None,
    "last_argument": None,
    "line_that_fails": "line 4: `test -e /nonexistent.parquet` exited with 1",
    "local_and_nested": "line 3: `outer` exited with 2",
    "loops": 'line 3: `test "$n" = 1` exited with 1',
    "nested_shells": 'line 3: `( set +e; false; echo "goes on"; ( exit 6 ) )` exited with 6',
    "noclobber_and_ifs": "line 3: stage 2 of 3, `false`, exited with 1",
    "open_here_document": None,
    "own_debug_trap": None,
    "own_err_trap": None,
    "own_exit_trap": "line 3: `false` exited with 1",
    "own_traps_are_listed": None,
    "pipe_stage": "line 2: stage 4 of 5, `awk`, exited with 3",
    "process_substitution": "line 3: `diff <(echo 1) <(echo 2) > /dev/null` exited with 1",
    "set_plus_e": "line 6: `( exit 4 )` exited with 4",
    "shows_its_lines": None,
    "signal_traps": None,
    "sigpipe": "line 1: stage 1 of 2, `yes`, exited with 141 (SIGPIPE)",
    "sigpipe_in_a_condition": None,
    "source": "line 3 of lib.sh: `false` exited with 1",
    "source_that_fails": "line 3 of lib.sh: `false` exited with 1",
    "stdin_is_free": "line 5: `false` exited with 1",
    "subshell": "line 2: `( cd /; pwd; false; echo no )` exited with 1",
    "substitution": "line 3: `y=$(echo out; exit 5)` exited with 5",
    "syntax_error": None,
    "unset_variable": None,
    "while_read": "line 1: stage 2 of 2, `while`, exited with 1",
    "xtrace": "line 3: `false` exited with 1",
}


async def run(text, shell=STRICT, **options):
    """Run it to its end: the process, what it wrote to standard output, and to standard error."""
    process = await start(Spec.of(shell, script=text, **options))
    told = asyncio.Event()
    process.add_done_callback(lambda _: told.set())  # in its turn
    await finish(process)
    await told.wait()
    output = [process.log.read(stream=stream).decode() for stream in (1, 2)]
    assert not list(storage.directory().glob("*.sh")), "its file is left"
    return process, *output


def plain(text, file):
    """A message without what differs in who tells it: the name of the file, `eval`, one level of `set -x`."""
    text = text.replace(str(file), "bash").replace("bash: eval: ", "bash: ")
    return re.sub(r"^(?:environment|main|bash): line", "bash: line", text, flags=re.MULTILINE)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
async def test_it_runs_as_bash_would_run_it(path, tmp_path):
    text = path.read_text()
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    file = tmp_path / "script"
    file.write_text(f"{text}\n")
    alone = subprocess.run(
        [*STRICT, str(file)],
        cwd=tmp_path / "one",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        start_new_session=True,
        check=False,
    )
    process, stdout, stderr = await run(text, cwd=tmp_path / "two")
    if path.stem == "xtrace":  # the one thing that is not the same: what is read by `eval` is one level down
        stderr = re.sub(r"^\+(?=\+)", "", stderr, flags=re.MULTILINE)
    assert (process.returncode, stdout) == (alone.returncode, alone.stdout)
    assert plain(stderr, file) == plain(alone.stderr, file)
    if bash_version() >= 5:  # an older one writes some in another way, and does not hear of all
        assert (str(process.failed_command) if process.failed_command else None) == FAILED[path.stem]


@functools.cache
def bash_version():
    return int(subprocess.check_output(["bash", "-c", "echo ${BASH_VERSINFO[0]}"]))


def test_there_are_thirty_scripts_and_more():
    assert {path.stem for path in SCRIPTS} == FAILED.keys() and len(FAILED) > 30


HABITS = [
    'echo "$0"',
    'echo "[${BASH_SOURCE[0]-}] ${#BASH_SOURCE[@]}"',
    'cd "$(dirname "$0")" && pwd && echo made > made && ls',
    'cd "$(dirname "${BASH_SOURCE[0]}")" && pwd',
    'DIR="$( cd "$( dirname "${BASH_SOURCE[0]}" )" >/dev/null 2>&1 && pwd )"; echo "$DIR"',
    'readlink -f "$0"; realpath "$(dirname "$0")/.."',
    'echo "usage: $(basename "$0") FILE"; echo "${0##*/} $# $* $LINENO"',
    'if [[ "${BASH_SOURCE[0]-}" == "$0" ]]; then echo main; else echo not main; fi',
    '. "$(dirname "$0")/lib"; greet',
    'log="${0%.sh}.log"; echo hi > "$log"; ls *.log',
    "caller || echo nobody\nf() { caller; }\nf",
    "\nnosuchcommand || cd /nonexistent || cat < /nonexistent || true",
    'exec "$0" -c \'echo "again $0"\'',
    'main() { echo "${FUNCNAME[0]} of ${#FUNCNAME[@]}"; }; main "$@"',
    "set -u; set -o pipefail; echo ${-//[^u]/}",
    "return 3 || echo 'cannot return'",
]


@pytest.mark.parametrize("text", HABITS)
async def test_what_it_knows_of_itself_is_what_it_knows_from_standard_input(text, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "lib").write_text("greet() { echo hello; }\n")
    alone = subprocess.run(
        ["bash"], cwd=tmp_path / "one", input=f"{text}\n", capture_output=True, text=True, check=False
    )
    process, *output = await run(text, ("bash",), cwd=tmp_path / "two")
    assert process.returncode == alone.returncode
    here = [each.replace(str(tmp_path / "two"), str(tmp_path / "one")) for each in output]
    assert here == [alone.stdout, alone.stderr.replace("main: line", "environment: line")]
    assert sorted(os.listdir(tmp_path / "two")) == sorted(os.listdir(tmp_path / "one"))


@pytest.mark.parametrize("shell", ["sh", "dash", "ash", "mksh", "zsh", "/bin/sh"])
async def test_other_shells_name_themselves(shell, tmp_path):
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} here")
    text = 'echo "$0 $#"\ncd "$(dirname "$0")"\npwd\nalias hi="echo hello"\nif true; then\n  (exit 3)\nfi\necho never'
    process, stdout, _ = await run(text, (shell, "-e"), cwd=tmp_path)
    assert (process.returncode, stdout) == (3, f"{os.path.basename(shell)} 0\n{tmp_path}\n")
    assert process.failed_command is None


async def test_what_is_no_shell_gets_the_file():
    process, stdout, _ = await run("import sys; print(len(sys.argv), open(__file__).read())", (sys.executable,))
    assert (process.returncode, stdout[:15]) == (0, "1 import sys; p") and process.args == (sys.executable,)


@pytest.mark.skipif(sys.platform != "linux", reason="it looks into /proc")
async def test_no_list_of_processes_shows_it_and_no_length_is_too_much():
    text = (
        "grep -c zebra /proc/$$/cmdline || true\n"
        + "x=zebra\n" * 60_000
        + "echo ${#BASH_EXECUTION_STRING}; echo $LINENO"
    )
    process, stdout, stderr = await run(text)
    assert (process.returncode, stdout, stderr) == (0, "0\n0\n60003\n".replace("60003", "60002"), "")


async def test_a_script_that_cannot_be_started_leaves_no_file(tmp_path):
    with pytest.raises(OSError, match="nosuchshell"):
        await start(Spec.of(("nosuchshell",), script="true"))
    assert not list(storage.directory().glob("*.sh"))


async def test_what_it_is_called_is_its_first_line():
    process, *_ = await run("\n\n echo \x1b[31mone\necho two")
    assert process.name == "echo one …"
    assert script.title("x" * 1000)[-2:] == "x…" and len(script.title("x" * 1000)) == 300


async def error(text, **options):
    process, *_ = await run(text, **options)
    return CompletedProcess.of(process).error()


async def test_the_error_says_where():
    failed = await error("echo one\n\ntest -e /nonexistent")
    assert str(failed) == "line 3: `test -e /nonexistent` exited with 1\none"
    assert (failed.failed_command.where, failed.failed_command.code) == ("line 3: `test -e /nonexistent`", 1)
    failed = await error("echo why >&2\nfalse", name="a <name>")
    assert str(failed) == "`a <name>`, line 2: `false` exited with 1\nwhy"
    failed = await error("trap 'exit 7' EXIT\nfalse")
    assert str(failed) == "`trap 'exit 7' EXIT …` exited with status 7; line 2: `false` exited with 1"
    assert (await error("echo said; exit 3")).failed_command is None
    process, *_ = await run("echo why >&2\nfalse")
    assert CompletedProcess.of(process).full_outcome == "exited with status 1 in line 2: `false`: why"


async def test_who_writes_in_vain_is_told_what_to_write():
    for text, where in (
        ("yes | head -n 1", "stage 1 of 2, `yes`,"),
        ("x=$(yes | head -n 1)", "`x=$(yes | head -n 1)`"),
    ):
        assert str(await error(text)).splitlines()[0] == (
            f"line 1: {where} exited with 141 (SIGPIPE): what read its output ended first; `set +o pipefail` above it "
            "accepts that"
        )
    assert await error("set +o pipefail\nyes | head -n 1") is None


PIPES = [
    (
        "cat /dev/null |\n  # a comment | of two\n  grep -q 'a | b' |\n  cat",
        "line 3: stage 2 of 3, `grep`, exited with 1",
    ),
    ('echo "$(echo a | cat)" | LC_ALL=C X="1 2" sh -c "exit 4" | cat', "line 1: stage 2 of 3, `sh`, exited with 4"),
    ("for x in 1 2; do echo $x; done | { cat; exit 5; } | cat", "line 1: stage 2 of 3, `{`, exited with 5"),
    ("cat <<X | false\na | b | c\nX\n", "line 1: stage 2 of 2, `false`, exited with 1"),
    ("f() {\n  true | false\n}\nf", "line 2: stage 2 of 2, `false`, exited with 1"),
    ("true | false | true; true | true | false", "line 1: stage 2 of 3 exited with 1"),
    ("eval 'true | false'", "line 1: stage 2 of 2 exited with 1"),
    ("( exit 3 ) | ( exit 4 ) | true", "line 1: stage 2 of 3, `(`, exited with 4"),
    ("true |& false", "line 1: stage 2 of 2, `false`, exited with 1"),
]


@pytest.mark.parametrize(("text", "said"), PIPES)
async def test_a_stage_of_a_pipe_is_named_where_that_is_sure(text, said):
    process, *_ = await run(text)
    assert str(process.failed_command) == said


async def test_functions_are_looked_into_where_nothing_runs_in_the_background():
    """What begins as `(cd there && server) &` must be the server, for `kill $!`."""
    text = "f() {\n  false\n}\n%s\nf"
    for line, said in (
        ("echo a && echo 2>&1", "line 2: `false` exited with 1"),
        ("cat <&0 &> /dev/null", "line 2: `false` exited with 1"),
        ("true &", None),
        ("coproc true", None),
    ):
        process, *_ = await run(text % line)
        assert (str(process.failed_command) if process.failed_command else None) == said, line


async def test_a_command_that_is_not_in_the_text_is_not_told():
    process, *_ = await run("word='a secret of the environment'\neval \"test -z '$word'\"")
    assert str(process.failed_command) == "line 2: `eval \"test -z '$word'\"` exited with 1"
    process, *_ = await run("f() {\n  [ -e /nonexistent ] && echo yes\n}\necho one\nf")
    assert str(process.failed_command) == "line 5: `f` exited with 1"
    process, *_ = await run("echo one\ntrap 'rm /nonexistent' EXIT\necho two")
    assert process.returncode == 1 and process.failed_command is None  # bash counts no lines there
    process, *_ = await run("(\n  cd /\n  false\n)")
    assert str(process.failed_command) == "line 1: `( cd /; false )` exited with 1"
    process, *_ = await run(f"test {'x' * 500} = y")
    assert str(process.failed_command) == f"line 1: `test {'x' * 75}…` exited with 1"
    text = "cat <<X | cat > /dev/null\n" + "a long line\n" * 20_000 + "X\ngrep -q b <<X\n" + "aaaaaaaa\n" * 20_000 + "X"
    process, *_ = await run(text)
    assert str(process.failed_command) == "line 20003: `grep -q b <<X…` exited with 1"
    process, *_ = await run(f'x={"y" * 200_000}\ntest 1 = "$x"')
    assert str(process.failed_command) == 'line 2: `test 1 = "$x"` exited with 1'


def noted(*words):
    return b"".join(os.fsencode(word) + b"\x00" for word in words)


def test_a_note_is_told():
    assert (
        str(failed_command(noted("1", "2", "", "1", "1", "false", "_"), "true\nfalse"))
        == "line 2: `false` exited with 1"
    )


@pytest.mark.parametrize(
    "note",
    [
        b"",
        b"\xff" * 100,
        b"\x00" * 100,
        noted("1", "2", "", "1", "1"),
        noted("1", "2", "", "1", "1", "false")[:-1],
        noted("1", "x", "", "1", "1", "false", ""),
        noted("1", "2", "", "99999999", "1", "false", ""),
        noted("1", "2", "", "-1", "1", "false", ""),
        noted("1", "2", "", "2", "5", "6", "false", ""),
        noted("1", "-5", "", "1", "1", "false", ""),
        noted("1", "7", "", "1", "1", "false", ""),
        noted("1", "9" * 400, "a file", "1", "1", "false", ""),
        noted("1", "9" * 5000, "", "1", "1", "false", ""),
        noted("9" * 400, "2", "", "2", "9" * 400, "1", "false", ""),
        noted("0", "2", "", "1", "0", "false", ""),
    ],
)
def test_a_note_that_is_none_of_bash_says_nothing(note):
    assert failed_command(note, "true\nfalse") is None


@pytest.mark.parametrize("payload", OUTPUTS.values(), ids=OUTPUTS)
def test_a_hostile_note_is_made_inert(payload):
    payload = payload.replace(b"\x00", b"")
    text = payload.decode(errors="replace")
    for note in (
        noted("1", "1", "", "1", "1", payload, ""),
        noted("1", "1", b"/tmp/" + b"long" * 100 + payload, "1", "1", "x", ""),
        noted("1", "1", payload, "2", "1", "0", payload, ""),
    ):
        words = str(failed_command(note, text))
        assert len(words) < 300 and "\n" not in words and "\x1b" not in words
        assert words.startswith("line 1") or note == noted("1", "1", "", "1", "1", payload, "")


async def test_what_somebody_puts_in_the_place_of_the_note(tmp_path):
    """A program may find the file by the arguments of the shell."""
    find = "f=$(tr '\\0' '\\n' < /proc/$$/cmdline | grep -o '[^ \"(<]*\\.sh' | head -n 1 | tr -d \"'\")"
    for act in (
        "rm $f; mkfifo $f",
        "rm $f; ln -s /dev/zero $f",
        "rm $f; mkdir $f",
        'printf "\\0junk" > $f',
        "chmod 0 $f",
    ):
        process = await start(Spec.of(("bash",), script=f"{find}\ntest -f $f\n{act}\nexit 3"))
        await asyncio.wait_for(finish(process), 20)
        assert (process.returncode, process.failed_command) == (3, None), (act, process.log.read())
        for left in storage.directory().glob("*.sh"):
            shutil.rmtree(left) if left.is_dir() else left.unlink()


async def test_many_at_once_have_a_file_each():
    commands = [(f"n{n}", Spec(STRICT, script=f"echo {n}\n(exit {n})")) for n in range(8)]
    results = await ipyproc.parallel(commands, jobs=4, check=False, on_failure="finish")
    assert [done.stdout for done in results] == [f"{n}\n" for n in range(8)]
    assert str(results[3].error()) == "`n3`, line 2: `( exit 3 )` exited with 3\n3"
