"""The notebooks run from top to bottom with nobody watching, show what they say, and lie in git without output."""

import asyncio
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbclient
import nbformat
import psutil
import pytest
from traitlets.config import Config

from .kernel_session import sockets

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
NEEDED = {"05_pipelines_at_night": ("curl", "xz")}  # programs that not every machine has
WIDTH = 100  # columns of code that are seen in a page of 1000 pixels
SECONDS = 180  # for a cell, on a machine where all notebooks and other tests run at once


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def path(request):
    return request.param


def test_diffs_stay_readable(path):
    """One JSON line for each line of source, as nbformat writes it; no output; ids that are words."""
    text = path.read_text(encoding="utf-8")
    notebook = nbformat.reads(text, as_version=4)
    nbformat.validate(notebook)
    assert text == f"{nbformat.writes(notebook)}\n", "write it with nbformat"
    assert set(notebook.metadata) == {"kernelspec"}
    for cell in notebook.cells:
        assert re.fullmatch(r"[a-z]+(-[a-z0-9]+)*", cell.id)
        assert cell.metadata in ({}, {"tags": ["parameters"]}, {"tags": ["raises-exception"]}), cell.id
        if cell.cell_type == "code":
            assert (cell.outputs, cell.execution_count) == ([], None), cell.id
            assert max(map(len, cell.source.splitlines())) <= WIDTH, f"{cell.id}: a line is cut off in the page"


def test_links_lead_somewhere(path):
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "markdown":
            for target in re.findall(r"\]\((?!http)([^)#]+)", cell.source):
                assert (path.parent / target).is_file(), f"{cell.id}: {target}"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """By their names, all notebooks after a run, or why one failed; they run at once, each in an empty directory."""

    async def execute(path):
        notebook = nbformat.read(path, as_version=4)
        folder = tmp_path_factory.mktemp(path.stem)
        with sockets() as where:
            await nbclient.NotebookClient(
                notebook,
                timeout=SECONDS,
                startup_timeout=SECONDS,
                kernel_name="python3",
                config=Config(KernelManager=where),
                resources={"metadata": {"path": str(folder)}},
            ).async_execute()
        assert not list(folder.iterdir()), f"{path.stem} left files behind"
        return notebook

    async def execute_all():
        return await asyncio.gather(*map(execute, able), return_exceptions=True)

    able = [path for path in NOTEBOOKS if all(map(shutil.which, NEEDED.get(path.stem, ())))]
    return dict(zip((path.stem for path in able), asyncio.run(execute_all()), strict=True))


@pytest.fixture
def executed(runs):
    """A notebook after its run."""

    def after(name):
        if name not in runs:
            pytest.skip(f"needs {' and '.join(NEEDED[name])}")
        if isinstance(runs[name], BaseException):
            raise runs[name]
        return runs[name]

    return after


@pytest.fixture
def shown(executed):
    """The text that the cells of a notebook show, by their ids."""
    return lambda name: {cell.id: text_of(cell) for cell in executed(name).cells}


def text_of(cell):
    """What a cell shows."""
    return "".join(
        output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell.get("outputs", ())
    )


def test_it_runs_and_no_widget_stays(path, executed):
    ours = path.stem == "06_many_at_once"  # nbclient saves those that a notebook makes itself, closed or not
    assert ("widgets" in executed(path.stem).metadata) == ours


def test_first_run(shown):
    cells = shown("01_first_run")
    assert cells["load"] == ""
    assert cells["first-card"].startswith("line 1 at ")
    assert " modules\n" in cells["pack"]
    assert " modules in the archive" in cells["check"]
    assert len(cells["out"].splitlines()) == 10
    assert "100%" in cells["progress"]
    assert "Load" in cells["progress"]
    assert "is running" in cells["meanwhile"]
    assert "return code 0" in cells["wait"]
    assert "level 9: " in cells["wait"]
    assert cells["stop"].endswith("\n-9")
    assert "exited with status 2" in cells["failure"]
    assert "No such file" in cells["failure"]


def test_the_tour_names_every_member_of_asyncios_process():
    members = {name for name in dir(asyncio.subprocess.Process) if not name.startswith("_")}
    members |= {"stdin", "stdout", "stderr", "pid", "returncode"}
    [path] = (path for path in NOTEBOOKS if path.stem == "02_tour_of_process")
    cells = nbformat.read(path, as_version=4).cells
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    assert not {name for name in members if not re.search(rf"`{name}\b", text)}


def test_tour_of_process(shown):
    cells = shown("02_tour_of_process")
    assert cells["exec-run"].startswith("*\n$HOME\ntwo words\n")
    assert cells["shell-run"].startswith("100\n")
    shell, child, pid = map(int, re.findall(r"\d+", cells["pid-run"]))
    assert shell == pid != child
    assert re.findall(r": +(.*)", cells["wait-run"]) == ["None", "0 0", "3", "-9 is SIGKILL"]
    assert int(re.search(r"ran (\d+) times", cells["wait-others-run"])[1]) > 1
    assert "poll: False" in cells["popen-run"]
    assert "time is up, and returncode is None" in cells["popen-run"]
    assert "text=True: text must be False" in cells["popen-run"]
    assert cells["communicate-run"] == r"(b'1\n9\n10\n', None)"
    assert cells["broken-pipe-run"] == r"(b'one line\n', 0)"
    assert "1 2 3 -> 6\n40 2 -> 42\nexit 0" in cells["streams-run"]
    assert r"b'not now\n'" in cells["signals-run"]
    assert r"b'good bye\n' 7" in cells["signals-run"]
    assert "ProcessLookupError: <Process " in cells["signals-run"]
    waiting, capacity = (
        int(number.replace(",", ""))
        for number in re.search(r"in the pipe +([\d,]+) of ([\d,]+)", cells["deadlock-run"]).groups()
    )
    assert capacity - 4096 <= waiting <= capacity, "the pipe is full, and stays so"
    assert "wait() would wait for ever" in cells["deadlock-run"]
    assert cells["cure-run"] == "300,000 bytes, exit 0\n"
    assert cells["log-run"].startswith("exit 0\n<Log of 300000 bytes")
    assert "belongs to another event loop" in cells["threads-run"]
    assert "the right way: 0" in cells["threads-run"]
    theirs, ours = map(float, re.findall(r"took (\S+) s", cells["exit-run"]))
    assert ours < 1 < theirs
    assert "line 3\n" in cells["start-run"]
    assert "stop(): -15" in cells["start-run"]


def test_signals_and_families(shown):
    cells = shown("03_signals_and_families")
    assert "removing my files" in cells["polite-stop"]
    assert cells["polite-stop"].endswith("\n0")
    assert cells["stubborn-run"].startswith("-9 after ")
    assert len(cells["grow-run"].split("\n")) >= 6
    before, after = re.split(r"return code of the program: -15", cells["orphans"])
    of = r"^ +(\d+) +(\d+)  lives .* sleep 1003$"
    (child, program), (orphan, adopter) = (re.search(of, text, re.MULTILINE).groups() for text in (before, after))
    assert child == orphan
    assert program != adopter
    assert len(re.findall("gone", cells["adopt-run"])) == 5
    assert " zombie " in cells["zombie"]
    assert cells["zombie-gone-run"] == "return code -15\nin the table: []\n"
    stopped, running = re.findall(r"\d  (\w+) +sleep 60", cells["pause-run"])
    assert stopped == "stopped" != running
    assert "was ended by SIGKILL" in cells["crash-run"]
    assert cells["crash-left"] == "asyncio's program lives: True\nipyproc's program lives: False\n"
    pids = re.findall(r"^ +(\d+) .* lives ", before, re.MULTILINE)  # by these: the same notebook may run elsewhere too
    pids += re.search(r"^(\d+) (\d+) \w+$", cells["crash-run"], re.MULTILINE).groups()
    assert len(pids) == 7
    ours = {int(pid) for pid in pids}
    assert not [
        each for each in psutil.process_iter(["cmdline"]) if each.pid in ours and "sleep" in each.info["cmdline"]
    ]


def test_streams_and_terminals(shown):
    cells = shown("04_streams_and_terminals")
    in_order = ["name,size", "reading the list ...", "a.txt,12", "b.txt is not readable", "c.txt,30"]
    assert cells["two-run"].split() == " ".join(in_order).split()
    assert cells["apart-show"] == r"('name,size\na.txt,12\n', 'reading the list ...\n')"
    late, live = (
        [float(when) for when in re.findall(r"([\d.]+) s  step", cells[name])]
        for name in ("arrivals", "unbuffered-run")
    )
    assert len(late) == len(live) == 4
    assert late[-1] - late[0] < 0.5 < live[-1] - live[0]
    assert cells["stdbuf-run"].count("LINE 3") == 2
    assert cells["return-run"].endswith("loading 100% done\n")
    assert "on a screen: loading 100% done" in cells["return-bytes"]
    assert "chapters: 100%" in cells["several-run"]
    assert cells["isatty-run"] == "a terminal: False\n"
    assert "\x1b[" in cells["colour-run"]
    assert cells["colour-bytes"].endswith("\n'tmp\\n'\n")
    assert "%" not in cells["pty-pipe"]
    assert "100%" in cells["pty-run"]
    assert "terminal: True" in cells["pty-run"]


def check_night(cells, days):
    assert cells["load"] == ""
    assert f"{days} of {days} done" in cells["fetch"] and cells["fetch"].endswith(f"bytes in {days} files\n")
    assert f"{days} of {days} done · {days} skipped" in cells["again"] and cells["again"].endswith("\n-15")
    assert re.match(r" +path +requests +bytes +errors +error_rate\n\d+ +/", cells["sum"])
    assert cells["hours"] == "" and cells["plot"].startswith("<Figure")
    assert len(re.findall(r"day-\d\d.log.gz: \d+ bytes with gzip, \d+ with xz\n", cells["packed"])) == days
    assert "exited with status 1\ngzip: " in cells["failure"]


def test_pipelines_at_night(shown, tmp_path):
    """By nbclient, by papermill with parameters and a log, and by `jupyter execute`: the same."""
    check_night(shown("05_pipelines_at_night"), 7)
    assert re.match(r".*\n\d+ +/pay ", shown("05_pipelines_at_night")["sum"]), "the page that is wrong stands first"
    path = NOTEBOOKS[0].with_name("05_pipelines_at_night.ipynb")
    folder, few, all_days = tmp_path / "run", tmp_path / "few.ipynb", tmp_path / "all.ipynb"
    folder.mkdir()
    parameters = ("-p", "days", "3", "-p", "requests_per_day", "500")
    with (
        night_run(folder, "papermill", "--log-output", "--no-progress-bar", *parameters, path, few) as papermill,
        night_run(folder, "jupyter", "execute", f"--output={all_days}", path) as jupyter,
    ):
        log = papermill.communicate()[1]
        assert papermill.returncode == 0, log
        assert "3 of 3 done" in log and "No such file or directory" in log
        errors = jupyter.communicate()[1]
        assert jupyter.returncode == 0, errors
    for made, days in (few, 3), (all_days, 7):
        check_night({cell.id: text_of(cell) for cell in nbformat.read(made, as_version=4).cells}, days)
    assert not list(folder.iterdir()), "the notebook left files behind"


def night_run(folder, *words):
    words = [sys.executable, "-m", *map(str, words)]
    return subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_many_at_once(executed, shown):
    cells = shown("06_many_at_once")
    assert cells["cell-show"].startswith("16 results: ")
    assert re.findall(r"\(sleep (0\.\d)\) exited", cells["as-completed-run"]) == ["0.2", "0.4", "0.6"]
    times = [float(each) for each in re.search(r"waiting  (.*)", cells["speed-run"])[1].split(" s")[:-1]]
    assert times[0] > 2 * times[2], "to wait for four at once is much faster"
    plot = next(cell for cell in executed("06_many_at_once").cells if cell.id == "plot")
    assert [list(output.data) for output in plot.outputs if "image/png" in output.data]
    assert "1 of 16 failed" in cells["failure-run"]
    assert "[0, 0, 1, 0," in cells["all-run"]
    assert "15 skipped, 1 done" in cells["resume-run"]
    assert "here it is" in cells["resume-run"]
    assert cells["panel-run"] == "['failed', 'ok', 'ok'] 3 ended\n"
