"""What stays in a cell when its program has ended: head, foot, and an error that does not say it all again."""

import re

import pytest

FAILS = "%%aproc --name job\n{more}\necho why\ntest -e /nowhere"


def last_html(done):
    return done.displays[-1]["text/html"]


def shown_error(done):
    return re.sub(r"\x1b\[[\d;]*m", "", "\n".join(done.reply["traceback"]))


@pytest.mark.parametrize("more", ["", "sleep 0.5"])
def test_a_failure_looks_the_same_however_short_it_was(kernel, more):
    done = kernel.run(FAILS.format(more=more))
    html = last_html(done)
    assert html.startswith('<div class="ipyproc-transcript"')
    assert "<b>Failed, exit 1 · line 3: `test -e /nowhere`</b>" in html
    assert "<span>1 line · 4 B</span>" in html and ">why</span>" in html and "not shown" not in html
    assert shown_error(done) == "ProcessExitError: `job`, line 3: `test -e /nowhere` exited with 1"
    assert done.reply["evalue"] == "`job`, line 3: `test -e /nowhere` exited with 1\nwhy"
    assert done.text() == "", "the state is said once"


def test_a_failure_without_output_has_a_head_too(kernel):
    done = kernel.run("%aproc false")
    assert (
        "<b>Failed, exit 1</b>" in last_html(done)
        and "1 line" not in last_html(done)
        and "0 lines" not in last_html(done)
    )
    assert done.reply["evalue"] == "`false` exited with status 1"
    done = kernel.run("%aproc --no-raise-error false")
    assert "<b>Failed, exit 1</b>" in last_html(done) and done.text() == ""


def test_a_short_success_is_plain(kernel):
    done = kernel.run("%aproc echo fine")
    assert "ipyproc-transcript" not in str(done.displays) and done.text() == "fine\n"


def test_within_other_code_the_line_is_shown_and_the_error_is_one_line(kernel):
    done = kernel.run("print(1)\n%aproc sh -c 'echo why >&2; exit 3'")
    told = shown_error(done)
    assert "----> 2 %aproc sh -c" in told and "_jupyter" not in told and "why\n" not in told
    assert told.rstrip().endswith("ProcessExitError: `sh -c 'echo why >&2; exit 3'` exited with status 3")


def test_a_stop_is_one_line(kernel):
    done = kernel.run("%aproc --timeout 0.3 --name slow sh -c 'echo a >&2; exec sleep 60'")
    assert shown_error(done) == "ProcessTimeout: `slow` was stopped after its timeout of 0.3 s"
    code = "import asyncio\nasyncio.get_running_loop().call_later(0.4, lambda: asyncio.ensure_future(p.stop()))"
    done = kernel.run(f"{code}\n%aproc --proc p --name job sh -c 'echo a >&2; exec sleep 60'")
    assert shown_error(done).rstrip().endswith("ProcessStopped: Stopped (SIGTERM)")
    assert done.reply["evalue"] == "`job` was stopped, and was ended by SIGTERM\na"


def test_the_error_itself_has_all(kernel):
    kernel.run(
        "import pickle\ntry:\n    %aproc --name job sh -c 'echo why >&2; exit 3'\nexcept Exception as e:\n    error = e"
    )
    assert kernel.run("str(pickle.loads(pickle.dumps(error)))").value == repr("`job` exited with status 3\nwhy")
    done = kernel.run("raise error")
    assert "exited with status 3\nwhy" in shown_error(done), "here no transcript stands"


@pytest.mark.parametrize("options", ["--plain", "--quiet", "--out x"])
def test_where_no_transcript_stands_the_error_says_it(kernel, options):
    done = kernel.run(f"%aproc {options} --name job sh -c 'echo why; exit 3'")
    assert shown_error(done).endswith("ProcessExitError: `job` exited with status 3\nwhy")


def test_headless_as_before(kernel):
    done = kernel.run("%aproc --name job sh -c 'echo why; exit 3'", headless=True)
    assert "exited with status 3\nwhy" in shown_error(done) and "✘ Failed, exit 3" in done.text()


def test_what_is_left_out_is_said_at_head_gap_and_foot(kernel):
    done = kernel.run("%aproc {program} lines 20000 sleep 0.5")
    html = last_html(done)
    head, gap, foot = re.search(
        r">([\d,]+) of 20,000 lines shown<.*\.\.\. ([\d,]+) lines, [\d.]+ kB not shown; full log: .*"
        r"<span>20,000 lines · 209 kB · ([\d,]+) shown</span><span>log: /",
        html,
        re.DOTALL,
    ).groups()
    numbers = [int(each.replace(",", "")) for each in (head, gap, foot)]
    assert numbers[0] == numbers[2] == 20_000 - numbers[1] == len(re.findall(r"\bline \d+", html))


def test_the_log_is_named_only_while_that_is_of_use(kernel, tmp_path):
    assert "log:" not in last_html(kernel.run("%aproc sh -c 'echo a; sleep 0.4'"))
    kernel.run(f"file = {str(tmp_path / 'own.log')!r}")
    assert f"<span>log: {tmp_path}/own.log</span>" in last_html(
        kernel.run("%aproc --log {file} sh -c 'echo a; sleep 0.4'")
    )


def test_the_foot_counts_what_the_cell_shows(kernel):
    done = kernel.run("%%aproc --out x\necho captured; echo told >&2; sleep 0.4")
    assert "<span>1 line · 5 B (all stderr)</span>" in last_html(done)
