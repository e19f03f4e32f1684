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
    assert "Traceback" not in done.stdout + done.stderr
