"""Whoever captures text gets it: all of it, once, in order, and nothing else; a display is no text."""

import pytest

WRITES = "sh -c 'echo first; sleep {}; echo last'"
SLOW, QUICK = WRITES.format(0.4), WRITES.format(0)
TO = "import contextlib, io\nfile, errors = io.StringIO(), io.StringIO()\n"


@pytest.fixture(autouse=True)
def helper(kernel):
    kernel.run(
        "class Tee:\n    def __init__(self): self.text = ''\n    def write(self, text): self.text += text"  # no more than print wants
    )


@pytest.mark.parametrize("program", [SLOW, QUICK])
@pytest.mark.parametrize("options", ["", "--plain", "--out text --tee"])
def test_redirected(kernel, program, options):
    done = kernel.run(f"{TO}with contextlib.redirect_stdout(file):\n    %aproc {options} {program}\nfile.getvalue()")
    assert done.value == "'first\\nlast\\n'"
    assert not any("first" in str(data) for data in done.displays if "text/html" in data and not done.cards)
    assert done.of_type("stream") == []


def test_what_is_not_captured_stays_in_the_cell(kernel):
    code = "%aproc sh -c 'echo out; echo err >&2'"
    done = kernel.run(f"{TO}with contextlib.redirect_stdout(file):\n    {code}\nfile.getvalue()")
    assert (done.value, done.text(), done.text("stderr")) == ("'out\\n'", "", "err\n")
    done = kernel.run(f"{TO}with contextlib.redirect_stderr(errors):\n    {code}\nerrors.getvalue()")
    assert (done.value, done.text(), done.text("stderr")) == ("'err\\n'", "out\n", "")


def test_both_in_one_file_are_in_order(kernel):
    done = kernel.run(
        f"{TO}with contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):\n"
        "    %aproc {program} out a err b sleep 0.3 out c err d\nfile.getvalue()"
    )
    assert done.value == "'a\\nb\\nc\\nd\\n'" and not done.of_type("stream")


@pytest.mark.parametrize(
    "code",
    [
        f"{TO}with contextlib.redirect_stdout(file):\n    %aproc {{line}}\ntext = file.getvalue()",
        "%%capture c\n%aproc {line}",
        "import sys\nown, sys.stdout = sys.stdout, Tee()\ntry:\n    %aproc {line}\nfinally:\n    text, sys.stdout = sys.stdout.text, own",
        f"{TO}def f():\n    %aproc {{line}}\nwith contextlib.redirect_stdout(file):\n    f()\ntext = file.getvalue()",
    ],
    ids=["redirect", "capture", "replaced", "plain function"],
)
@pytest.mark.parametrize(
    "text",
    [
        "x" * 30_000 + "\n" + "é€😀" * 100_000,
        "".join(f"line {n}\n" for n in range(50_000)),
        "a\r50 %\r100 %\x1b[31mred\f\v\n",
    ],
    ids=["long lines", "many lines", "as it is"],
)
def test_all_of_it(kernel, tmp_path, code, text):
    (tmp_path / "text").write_text(text, newline="")
    done = kernel.run(code.replace("{line}", f"cat {tmp_path}/text"))
    assert done.status == "ok" and "x" * 100 not in done.text()
    if "capture c" in code:
        kernel.run("text = c.stdout")
    assert kernel.run(f"text == open({str(tmp_path / 'text')!r}, newline='').read()").value == "True"


def test_what_comes_behind_the_cell_goes_there_too(kernel):
    kernel.run(f"{TO}with contextlib.redirect_stdout(file):\n    %aproc --bg --proc p {SLOW}")
    assert kernel.run("await p.wait()").value == "0"
    assert kernel.eventually("file.getvalue()", "'first\\nlast\\n'")


def test_a_program_of_an_earlier_cell_writes_into_its_own(kernel):
    started = kernel.run("%aproc --plain --bg --proc p {program} read out hello stall")
    done = kernel.run(
        f"{TO}with contextlib.redirect_stdout(file):\n    await p.stop()\n    print('mine')\nfile.getvalue()"
    )
    assert done.value == "'mine\\n'" and started.status == "ok"


def test_a_closed_file_ends_no_program(kernel, tmp_path):
    done = kernel.run(
        f"{TO}file.close()\nwith contextlib.redirect_stdout(file):\n    %aproc sh -c 'echo x; touch {tmp_path}/done'"
    )
    assert done.error == "ValueError: I/O operation on closed file" and (tmp_path / "done").exists()
    first = kernel.run(
        f"{TO}with contextlib.redirect_stdout(file):\n    %aproc --bg --proc p --name p {{program}} out x sleep 0.2 out y\nfile.close()"
    )
    later = kernel.run("await p.wait()").strays
    while not (told := [m["content"]["text"] for m in (*first.messages, *later) if m["msg_type"] == "stream"]):
        later = kernel.idle_messages(lambda m: m["msg_type"] == "stream")
    assert told == ["... not all of the output of p was captured: ValueError: I/O operation on closed file\n"]


def test_what_cannot_be_captured_is_an_error(kernel):
    kernel.run("%config AProcMagics.log_limit = 2_000_000")
    try:
        done = kernel.run(f"{TO}with contextlib.redirect_stdout(file):\n    %aproc seq 2000000")
    finally:
        kernel.run("%config AProcMagics.log_limit = 4_000_000_000")
    whole = kernel.run("file.getvalue() == ''.join(f'{n}\\n' for n in range(1, 2_000_001))").value == "True"
    assert done.status == ("ok" if whole else "error"), done.error
    assert whole or "of the output are missing: its log has reached its limit" in done.error


def test_quiet_is_quiet(kernel):
    assert (
        kernel.run(f"{TO}with contextlib.redirect_stdout(file):\n    %aproc --quiet {QUICK}\nfile.getvalue()").value
        == "''"
    )


def test_no_line_of_ours_is_captured(kernel):
    code = "%aproc --no-raise-error sh -c 'echo x; exit 3'"
    done = kernel.run(f"{TO}with contextlib.redirect_stdout(file):\n    {code}\nfile.getvalue()")
    assert (done.value, done.text("stderr")) == ("'x\\n'", "")
    assert done.displays[-1]["text/plain"].startswith("✘ Failed, exit 3 · 0."), "the head of a failure is no text"
    assert kernel.run(f"%%capture c\n{code}").text() == "" and kernel.run("c.stdout").value == "'x\\n'"


def test_an_output_widget_gets_text_also_from_the_first_program_of_a_kernel(fresh_kernel):
    fresh_kernel.run("import ipywidgets; output = ipywidgets.Output()")
    for program, text in ((SLOW, "first\nlast\n"), (QUICK, "first\nlast\n"), ("echo x", "x\n")):
        done = fresh_kernel.run(f"with output:\n    %aproc {program}")
        assert (done.text(), done.displays) == (text, [])
        assert "".join(content["text"] for content in done.of_type("stream")) == text
    done = fresh_kernel.run(f"@output.capture()\ndef f():\n    %aproc {SLOW}\nf()")
    assert (done.text(), done.displays) == ("first\nlast\n", [])
    assert fresh_kernel.run(f"%aproc {SLOW}").cards, "the card of a cell is no text"
    done = fresh_kernel.run("import ipyproc\nwith output:\n    await ipyproc.parallel([['sleep', '1.2']])")
    assert not done.displays and done.text().endswith("1.2 s\n")
    done = fresh_kernel.run(f"with output:\n    %aproc --bg --proc p {SLOW}")
    assert done.cards, "behind the cell no text goes there"
