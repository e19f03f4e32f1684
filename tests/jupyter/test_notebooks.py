"""The notebooks run from top to bottom with nobody watching, and lie in git without output."""

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


def test_first_run_shows_what_it_says(tmp_path):
    notebook = nbformat.read(NOTEBOOKS[0], as_version=4)
    resources = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3", resources=resources).execute()
    assert "widgets" not in notebook.metadata
    assert not list(tmp_path.iterdir()), "the notebook left files behind"
    shown = {
        cell.id: "".join(
            output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell.get("outputs", [])
        )
        for cell in notebook.cells
    }
    assert shown["load"] == ""
    assert shown["first-card"].startswith("line 1 at ")
    assert " modules\n" in shown["pack"]
    assert " modules in the archive" in shown["check"]
    assert len(shown["out"].splitlines()) == 10
    assert "100%" in shown["progress"]
    assert "Load" in shown["progress"]
    assert "is running" in shown["meanwhile"]
    assert "return code 0" in shown["wait"]
    assert "level 9: " in shown["wait"]
    assert shown["stop"].endswith("\n-9")
    assert "exited with status 2" in shown["failure"]
    assert "No such file" in shown["failure"]
