"""The same cells with nobody watching: nbclient, papermill, a terminal."""

import contextlib
import re
import secrets
import subprocess
import sys

import nbclient
import nbformat
import papermill
import psutil
import pytest
from traitlets.config import Config

from .kernel_session import sockets


def notebook(*cells):
    made = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source) for source in ("%load_ext ipyproc", *cells)]
    )
    made.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return made


def execute(made, **keywords):
    with sockets() as where:
        config = Config(KernelManager=where)
        return nbclient.NotebookClient(made, config=config, **({"timeout": 60} | keywords)).execute()


def text(cell, name="stdout"):
    return "".join(
        output["text"] for output in cell["outputs"] if output["output_type"] == "stream" and output["name"] == name
    )


BARS = (
    "import sys, tqdm\nfor i in tqdm.trange(3, position=0):\n for j in tqdm.trange(30, position=1, leave=False): pass"
)
CELLS = {
    "both": "%%aproc\necho a; sleep 0.6; echo b >&2",
    "line": "%aproc --timeout 1m echo c",
    "flood": '%%aproc\nfor i in $(seq 300); do printf "\\r$i %%"; sleep 0.003; done; echo; seq 100000',
    "background": "%aproc --bg --proc p sh -c 'echo one; sleep 0.7; echo two >&2'",
    "beside": "1",
    "joined": "await p.wait()",
    "left": "%%aproc\n(trap '' HUP; setsid sleep 60) & sleep 60 >/dev/null 2>&1 & seq 3; echo last",
    "bars": f"import sys; bars = {BARS!r}\n%aproc {{sys.executable}} -c {{bars}}",
    "read": '%%aproc --no-strict\nread x; echo "got $x"',
    "cat": "%aproc cat",
    "view": "import ipyproc\nq = await ipyproc.start('echo', 'seen')\nawait q.wait()\nq.view()",
}


@pytest.fixture(scope="module")
def done():
    """One notebook with all of them, after a run."""
    return execute(notebook(*CELLS.values()))


@pytest.fixture
def cells(done):
    return dict(zip(CELLS, done.cells[1:], strict=True))


def test_text_and_no_widget(done, cells):
    assert (text(cells["both"]), text(cells["both"], "stderr"), text(cells["line"])) == ("a\n", "b\n", "c\n")
    shown = [output for cell in done.cells for output in cell["outputs"]]
    assert {output["output_type"] for output in shown} == {"stream", "execute_result"}
    assert [output["data"]["text/plain"] for output in shown if output["output_type"] == "execute_result"] == ["1", "0"]
    assert "widgets" not in done.metadata


def test_a_progress_bar_and_a_flood_are_bounded(cells):
    outputs = cells["flood"]["outputs"]
    assert len(outputs) < 40 and sum(len(output["text"]) for output in outputs) < 70_000
    assert text(cells["flood"]).endswith("99999\n100000\n")


def test_a_background_program_shows_where_it_is_joined(cells):
    assert text(cells["background"]).startswith("... in the background: ") and len(cells["background"]["outputs"]) == 1
    assert (text(cells["joined"]), text(cells["joined"], "stderr")) == ("one\n", "two\n")


def test_what_is_left_of_a_program_is_told_and_hides_no_output(cells):
    first, note = text(cells["left"]).split("... ")
    assert first == "1\n2\n3\nlast\n" and re.match("[23] processes of .* left; what they write is in the log: /", note)


def test_bars_are_saved_in_their_last_state(cells):
    assert re.fullmatch(r"100%.* 3/3 .*\n?", text(cells["bars"], "stderr"))


def test_nothing_waits_for_input(cells):
    assert (text(cells["read"]), cells["cat"]["outputs"]) == ("got \n", [])


FAILURES = {
    "told": "%aproc --no-raise-error --ok-code 4 sh -c 'echo o; exit 3'",
    "accepted": "%aproc --no-raise-error --ok-code 3 sh -c 'exit 3'",
    "quiet": "%aproc --no-raise-error --quiet --timeout 0.2 --name slow sleep 60",
    "background": "%aproc --bg --proc p sh -c 'echo before; exit 3'",
    "meanwhile": "await p.exited()",
    "once": "1",
    "late": "await p.wait()",
    "two": "%aproc --bg --proc awaited --name four sh -c 'exit 4'\n%aproc --bg --quiet --name five --proc q sh -c 'sleep 0.1; exit 5'",
    "awaited": "await q.exited(); await awaited.wait()",
    "stopped": "%aproc --bg --proc server sleep 60\nawait server.stop()",
    "nothing": "import asyncio\nawait asyncio.sleep(0.1)",
}


@pytest.fixture(scope="module", params=["nbclient", "papermill"])
def failures(request, tmp_path_factory):
    """The outputs of cells whose programs fail without an error, by a tool of the night."""
    made = notebook(*FAILURES.values())
    if request.param == "nbclient":
        done = execute(made)
    else:
        folder = tmp_path_factory.mktemp("night")
        nbformat.write(made, folder / "in.ipynb")
        papermill.execute_notebook(folder / "in.ipynb", folder / "out.ipynb", progress_bar=False)
        done = nbformat.read(folder / "out.ipynb", 4)
    return {name: text(cell) for name, cell in zip(FAILURES, done.cells[1:], strict=True)}


TOOK = r"\d+\.\d+ s( · CPU \d+\.\d\d s( · peak \d+ MB)?)?"


def test_a_failure_that_is_no_error_leaves_a_line(failures):
    assert re.fullmatch(rf"o\n✘ Failed, exit 3 · {TOOK} · sh -c 'echo o; exit 3'\n", failures["told"])
    assert failures["accepted"] == ""
    assert re.fullmatch(rf"◔ Timed out \(SIGTERM\) · {TOOK} · slow\n", failures["quiet"])


def test_a_background_program_that_failed_and_was_not_awaited_leaves_a_line(failures):
    line = rf"✘ Failed, exit 3 · {TOOK} · sh -c 'echo before; exit 3'"
    told = "".join(failures[name] for name in ("background", "meanwhile", "once"))
    assert re.search(rf"^{line} · log: /.*\.log$", told, re.MULTILINE) and told.count("✘") == 1
    assert re.fullmatch(rf"before\n{line}\n", failures["late"]), "its output is shown where it is awaited all the same"
    lines = [rf"✘ Failed, exit 4 · {TOOK} · four", rf"✘ Failed, exit 5 · {TOOK} · five · log: /.*\.log"]
    assert re.fullmatch("".join(f"{line}\n" for line in lines), failures["awaited"])
    assert re.fullmatch(r"\.\.\. in the background: sleep 60; .*\n", failures["stopped"])
    assert failures["nothing"] == ""


def test_an_error_has_a_line_too():
    made = notebook("%aproc sh -c 'echo last words >&2; exit 3'")
    execute(made, allow_errors=True)
    assert re.fullmatch(rf"✘ Failed, exit 3 · {TOOK} · sh -c .*\n", text(made.cells[1]))
    assert made.cells[1]["outputs"][-1]["output_type"] == "error"


def test_a_process_shows_itself_as_text(cells):
    assert text(cells["view"]).startswith("seen\n✔ Done, exit 0")


def test_a_cell_that_takes_too_long_leaves_nothing(tmp_path):
    seconds = f"600.{secrets.randbelow(10**9):09}"  # tells our own
    sleep = f"sleep {seconds}"
    made = notebook(f"%%aproc\necho $$ > {tmp_path}/pid\ntrap '' TERM INT\nsetsid {sleep} & {sleep} & {sleep}")
    with pytest.raises(nbclient.exceptions.CellTimeoutError):
        execute(made, timeout=2)
    family = [each for each in psutil.process_iter(["cmdline"]) if each.info["cmdline"] == ["sleep", seconds]]
    with contextlib.suppress(psutil.NoSuchProcess):
        family.append(psutil.Process(int((tmp_path / "pid").read_text())))
    assert psutil.wait_procs(family, timeout=5)[1] == []


def test_a_failing_program_fails_the_notebook(tmp_path):
    made = notebook("%%aproc\necho last words >&2; exit 3", "print('not reached')")
    with pytest.raises(nbclient.exceptions.CellExecutionError, match="last words"):
        execute(made)
    assert not made.cells[2]["outputs"]
    nbformat.write(notebook("%aproc false"), tmp_path / "in.ipynb")
    with pytest.raises(papermill.exceptions.PapermillExecutionError, match="exited with status 1"):
        papermill.execute_notebook(tmp_path / "in.ipynb", tmp_path / "out.ipynb", progress_bar=False)


def test_terminal_ipython():
    code = "%load_ext ipyproc\nx = %aproc echo hi\nx.returncode\n%aproc --bg --out y echo bg\nawait y.read()\n"
    code += (
        "import threading; f = lambda: get_ipython().run_line_magic('aproc', 'echo in a thread')\n"
        "t = threading.Thread(target=f); t.start(); t.join()\n%aproc --no-raise-error false\n"
    )
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "IPython",
            "--simple-prompt",
            "--no-banner",
            "--colors=nocolor",
            "--HistoryManager.enabled=False",
        ],
        input=code,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "hi\n" in done.stdout and "Out[3]: 0" in done.stdout and "b'bg\\n'" in done.stdout
    assert "in a thread\n" in done.stdout and "✘ Failed, exit 1 · 0." in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
