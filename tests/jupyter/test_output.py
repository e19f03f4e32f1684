"""Where output goes: a log of one's own, variables with the last state of what was rewritten, a full transcript or its ends."""

import re

import pytest

pytestmark = pytest.mark.pure

BARS = (
    "import sys, time\n"
    "for i in range(3):\n"
    "    sys.stdout.write(f'\\router {i}\\n\\r\\x1b[32minner {i}\\x1b[0m\\x1b[A'); sys.stdout.flush(); time.sleep(0.15)\n"
    "sys.stdout.write('\\n\\n')\n"
)


def last_display(done):
    return done.of_type("update_display_data")[-1]["data"]


def test_a_log_of_ones_own(kernel, tmp_path):
    file = tmp_path / "own.log"
    file.write_text("before\n")
    kernel.run(f"file = {str(file)!r}")
    kernel.run("%aproc --log {file} {program} out a err b")
    assert file.read_text() == "a\nb\n"
    kernel.run("r = %aproc --log '>>{file}' {program} out c")
    assert file.read_text() == "a\nb\nc\n"
    assert kernel.run("f'{r.log.path} {r.log.bytes} {r.stdout}'").value == f"'{file} 2 c\\n'"
    kernel.run("del r")
    kernel.run("%aproc --bg --proc p --log '>>{file}' {program} out d stall")
    assert kernel.run("%aproc --log '>>{file}' echo x").error == (
        f"UsageError: --log: cannot write to '{file}': another log is being written to it"
    )
    kernel.run("await p.log.changed(0); await p.stop()")
    assert file.read_text() == "a\nb\nc\nd\n"


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ("--log", "UsageError: --log needs a value: --log FILE"),
        ("--log '>>'", "UsageError: --log: '>>' names no file"),
        ("--log /nosuch/file", "UsageError: --log /nosuch/file: '/nosuch': there is no such folder"),
        ("--log /tmp", "UsageError: --log: cannot write to '/tmp': Is a directory"),
        ("--log /dev/null", "UsageError: --log: cannot write to '/dev/null': not a regular file"),
    ],
)
def test_a_log_that_cannot_be_written_starts_nothing(kernel, options, error):
    assert (
        kernel.run(f"%aproc {options} -- echo x" if options == "--log" else f"%aproc {options} echo x").error == error
    )


def test_a_program_that_cannot_start_leaves_a_log_of_ones_own_as_it_is(kernel, tmp_path):
    file = tmp_path / "own.log"
    file.write_text("precious")
    assert kernel.run(f"%aproc --log {file} nosuchprogram").status == "error"
    assert file.read_text() == "precious"


def test_variables_get_what_a_terminal_would_leave(kernel):
    kernel.run(f"bars = {BARS!r}")
    done = kernel.run("%aproc --out x {sys.executable} -c {bars}\nx", headless=True)
    assert done.value == "'outer 2\\ninner 2\\n'"
    assert kernel.run(r"""%aproc --out x printf '1%%\r2%%\r3%%\n\033[1mb\033[0m\r\n'""" + "\nx").value == "'3%\\nb\\n'"


@pytest.mark.parametrize("headless", [False, True])
def test_bars_of_several_lines_are_saved_in_their_last_state(kernel, headless):
    kernel.run(f"bars = {BARS!r}")
    done = kernel.run("%aproc {sys.executable} -c {bars}", headless=headless)
    if headless:
        assert done.text() == "outer 2\n\x1b[0;32minner 2\x1b[0m\n"
    else:
        assert last_display(done)["text/plain"].startswith("outer 2\ninner 2\n✔ Done")
        assert (
            '<span style="color:#2b893e;color:color-mix(in srgb,#2b893e 70%,var(--ipyproc-ink))">inner 2</span>'
            in last_display(done)["text/html"]
        )


def test_the_open_line_is_written_anew_where_somebody_looks_on(kernel):
    done = kernel.run(r"""%aproc --plain sh -c 'for i in 1 22 3; do printf "\r$i"; sleep 0.4; done; echo; echo end'""")
    texts = [content["text"] for content in done.of_type("stream")]
    assert "".join(texts) == "1\r22\r32\nend\n" and len(texts) >= 4


def test_the_bound_of_the_transcript_is_set_by_config(fresh_kernel):
    fresh_kernel.run("%config AProcMagics.transcript_limit = 4000")
    done = fresh_kernel.run("%aproc {program} lines 20000 sleep 0.5")
    shown = last_display(done)
    assert len(shown["text/html"]) + len(shown["text/plain"]) < 6000
    left_out = re.search(r"\n\.\.\. ([\d,]+) lines, 2\d\d kB not shown; full log: (.*)\n", shown["text/plain"])
    lines = re.findall(r"^line (\d+)$", shown["text/plain"], re.MULTILINE)
    assert int(left_out[1].replace(",", "")) == 20_000 - len(lines) and lines[0] == "0" and lines[-1] == "19999"


def test_the_limit_of_a_log_is_set_by_config(fresh_kernel):
    fresh_kernel.run("%config AProcMagics.log_limit = 2_000_000")
    done = fresh_kernel.run("r = %aproc --plain {program} lines 1000000")
    assert "MB are not in the log: its limit, or a full disk" in done.text()
    value = fresh_kernel.run(
        "import os; os.stat(r.log.path).st_blocks * 512 < 3_000_000, r.log.dropped > 9_000_000"
    ).value
    assert value == "(True, True)"
    assert done.text().endswith("MB are not in the log: its limit, or a full disk\n") and "line 999999\n" in done.text()


def test_long_rows_keep_to_the_bound_of_text(kernel):
    script = "import time; print(*(str(n).zfill(9000) for n in range(200)), sep='\\n', flush=True); time.sleep(1)"
    done = kernel.run(f"script = {script!r}\n%aproc --plain {{sys.executable}} -c {{script}}")
    assert len(done.text()) < 70_000 and "0199\n" in done.text() and "lines, " in done.text()


@pytest.mark.parametrize("options", ["", "--plain"])
def test_what_a_program_wrote_before_it_was_cancelled_at_once_is_shown(kernel, options):
    code = f"""
import asyncio
globals().pop('started', None)
async def f():
    %aproc {options} --proc started sh -c 'trap "echo bye; exit" TERM; echo ready > {{mark}}; echo hello; sleep 60 & wait'
import pathlib, tempfile
mark = pathlib.Path(tempfile.mkdtemp()) / "mark"
task = asyncio.create_task(f())
while not mark.exists() or 'started' not in globals():
    await asyncio.sleep(0.001)
task.cancel()
await asyncio.wait([task])
"""
    done = kernel.run(code)
    text = "".join(data["text/plain"] for data in done.displays[-1:]) or done.text()
    assert done.status == "ok" and "bye" in text


# --- a variable has all of it, or it is said why not -------------------------------------------------------------


def test_a_variable_has_all_that_was_written(kernel):
    kernel.run("data = b'10%\\r100%\\n' + b'x' * 20_000 + b'\\n' + bytes(set(range(32)) - {8, 13, 27}) + b'\\n'")
    kernel.run("code = f'import sys; sys.stdout.buffer.write({data!r})'")
    kernel.run("%aproc --out x {sys.executable} -c {code}")
    assert kernel.run("x == data.decode().removeprefix('10%\\r')").value == "True"


def test_fields_and_records_stay_apart(kernel, tmp_path):
    (tmp_path / "a b\nc").touch()
    kernel.run(f"%aproc --out x find {tmp_path} -type f -print0")
    assert kernel.run("x").value == repr(f"{tmp_path}/a b\nc\0")
    kernel.run(r"%aproc --out x printf 'a\x1fb\fc\v\x1e'")
    assert kernel.run("x").value == repr("a\x1fb\x0cc\x0b\x1e")


def test_what_a_process_substitution_writes_is_there(kernel):
    done = kernel.run("%%aproc --out x\nexec > >(sleep 0.6; cat)\necho all")
    assert done.status == "ok" and "may not be complete" not in done.text()
    assert kernel.run("x").value == "'all\\n'"


def test_that_more_may_come_is_said(kernel):
    done = kernel.run("%%aproc --out x --proc p\nsleep 600 &\necho started")
    assert done.status == "ok" and kernel.run("x").value == "'started\\n'"
    assert "... x may not be complete: 1 process of sleep 600 & … left, and can still write to it\n" in done.text()
    kernel.run("await p.stop()")


@pytest.mark.parametrize("form", ["text", "lines", "json", "csv"])
def test_a_log_that_is_removed_while_the_program_writes_can_be_read(fresh_kernel, form):
    fresh_kernel.run("import shutil; from ipyproc._core.output import storage")
    code = (
        "task = __import__('asyncio').create_task(rest())\n"
        f"%aproc --out x --format {form} --proc p sh -c 'echo [1; until [ -e $0 ]; do sleep 0.01; done; echo ,2]' {{mark}}"
    )
    fresh_kernel.run(
        "import pathlib, tempfile; mark = pathlib.Path(tempfile.mkdtemp()) / 'mark'\n"
        "async def rest():\n"
        "    while 'p' not in globals() or not p.log.bytes: await __import__('asyncio').sleep(0.01)\n"
        "    shutil.rmtree(p.log.path.parent)\n"
        "    mark.touch()\n"
    )
    if form == "csv":
        pytest.importorskip("pandas")
    done = fresh_kernel.run(code)
    assert done.status == "ok", done.error
    expected = {"text": "'[1\\n,2]\\n'", "lines": "['[1', ',2]']", "json": "[1, 2]", "csv": "(1, 2)"}[form]
    assert fresh_kernel.run("x" + (".shape" if form == "csv" else "")).value in (expected, "(1, 1)")
    shown = fresh_kernel.run("%aprocs log 1").text()
    assert shown.startswith("[1\n,2]\n... 1: ✔ Done") and shown.endswith(" · somebody has removed its log\n")
    assert fresh_kernel.run("%aproc echo next").text() == "next\n"


def test_a_variable_without_all_of_the_output_is_an_error(fresh_kernel):
    fresh_kernel.run("%config AProcMagics.log_limit = 2_000_000")
    done = fresh_kernel.run("%aproc --out x {program} lines 1000000")
    assert re.search(
        r"^ValueError: `.*`: [\d.]+ MB of the output are missing: its log has reached its limit; the rest is in ",
        done.error,
    )
    assert fresh_kernel.run("x.startswith('line 0\\n') and x.endswith('line 999999\\n')").value == "True"
    done = fresh_kernel.run("%aproc --plain --no-raise-error --out x {program} lines 1000000 exit 3")
    assert done.status == "ok" and "MB of the output are missing: its log has reached its limit" in done.text()
    done = fresh_kernel.run("r = %aproc {program} lines 1000000\nr.stdout")
    assert "of the output are missing: its log has reached its limit" in done.error


def test_the_format_is_asked_for_also_where_failures_are_no_errors(kernel):
    kernel.run("%aproc --no-raise-error --out o --format json echo '[1]'")
    assert kernel.run("o").value == "[1]"
    done = kernel.run("%aproc --no-raise-error --out o --format json sh -c 'echo half; exit 3'")
    assert done.status == "ok" and kernel.run("o").value == "'half\\n'"


def test_lines_that_several_python_processes_print_are_whole_and_live_when_they_are_told_to(kernel):
    """`PYTHONUNBUFFERED=1`, without which nothing would be seen before the end, makes two writes of a `print`."""
    code = (
        "import os, sys, time\n"
        "sys.stdout.reconfigure(line_buffering=True, write_through=False)\n"
        "worker = next((number for number in range(4) if not os.fork()), None)\n"
        "while worker is None and os.path.exists(sys.argv[1]): time.sleep(0.01)\n"
        "for n in range(400 * (worker is not None)): print('worker', worker, 'line', n, 'x' * 40)\n"
    )
    kernel.run(f"import re, tempfile; code, mark = {code!r}, tempfile.NamedTemporaryFile()")
    kernel.run("%aproc --bg --proc p {sys.executable} -c {code} {mark.name}")
    kernel.run("while p.log.lines < 1600: await p.log.changed(p.log.bytes)")
    assert kernel.run("mark.close(); await p.wait()").value == "0", "it still ran when all lines were there"
    whole = "len(re.findall(rb'^worker [0-3] line [0-9]{1,3} x{40}$', p.log.data(), re.MULTILINE))"
    assert kernel.run(whole).value == "1600"
