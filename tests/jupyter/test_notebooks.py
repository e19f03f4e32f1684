"""The notebooks run from top to bottom with nobody watching, and lie in git without output."""

import re
import subprocess
import sys
from pathlib import Path

import nbclient
import nbformat
import pytest

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request):
    return nbformat.read(request.param, as_version=4)


def test_outputs_are_cleared(notebook):
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert (cell.outputs, cell.execution_count) == ([], None), cell.id


def shown(notebook):
    """The text that each code cell has shown, by its id."""
    return {
        cell.id: "".join(
            output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell.get("outputs", [])
        )
        for cell in notebook.cells
    }


def check_night(texts, days):
    assert texts["load"] == ""
    assert f"{days} of {days} done" in texts["fetch"] and texts["fetch"].endswith(f"bytes in {days} files\n")
    assert f"{days} of {days} done · {days} skipped" in texts["again"] and texts["again"].endswith("\n-15")
    assert re.match(r" +path +requests +bytes +errors +error_rate\n0 +/ ", texts["sum"])
    assert texts["hours"] == "" and texts["plot"].startswith("<Figure")
    assert len(re.findall(r"day-\d\d.log.gz: \d+ bytes with gzip, \d+ with xz\n", texts["packed"])) == days
    assert "exited with status 1\ngzip: " in texts["failure"]


def test_the_pipeline_at_night(tmp_path):
    """By nbclient, by papermill with parameters and a log, and by `jupyter execute`: the same."""
    folder = tmp_path / "run"
    folder.mkdir()
    (path,) = [each for each in NOTEBOOKS if each.stem == "05_pipelines_at_night"]
    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(folder)}}
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3", resources=resources).execute()
    check_night(shown(notebook), 7)

    made = tmp_path / "made.ipynb"
    parameters = ("-p", "days", "3", "-p", "requests_per_day", "500")
    words = (sys.executable, "-m", "papermill", "--log-output", "--no-progress-bar", *parameters, str(path), str(made))
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "3 of 3 done" in done.stderr and "No such file or directory" in done.stderr  # its log
    check_night(shown(nbformat.read(made, as_version=4)), 3)

    words = (sys.executable, "-m", "jupyter", "execute", f"--output={made}", str(path))
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    check_night(shown(nbformat.read(made, as_version=4)), 7)
    assert not list(folder.iterdir()), "the notebook left files behind"


def test_first_run_shows_what_it_says(tmp_path):
    notebook = nbformat.read(NOTEBOOKS[0], as_version=4)
    resources = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3", resources=resources).execute()
    assert "widgets" not in notebook.metadata
    assert not list(tmp_path.iterdir()), "the notebook left files behind"
    texts = shown(notebook)
    assert texts["load"] == ""
    assert texts["first-card"].startswith("line 1 at ")
    assert " modules\n" in texts["pack"]
    assert " modules in the archive" in texts["check"]
    assert len(texts["out"].splitlines()) == 10
    assert "100%" in texts["progress"]
    assert "Load" in texts["progress"]
    assert "is running" in texts["meanwhile"]
    assert "return code 0" in texts["wait"]
    assert "level 9: " in texts["wait"]
    assert texts["stop"].endswith("\n-9")
    assert "exited with status 2" in texts["failure"]
    assert "No such file" in texts["failure"]
