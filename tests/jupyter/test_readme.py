"""The cells of the README run, and the first ones give the output that it shows; what it links to is there."""

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.pure

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


def plain(text):
    """Without what differs from run to run: the path of Python, the seconds, the memory."""
    return re.sub(r"`\S*python\S*", "`python", re.sub(r"\d+\.\d+ (s|MB)", r"N \1", text)).strip()


def test_the_first_cells(kernel):
    languages, texts = zip(*BLOCKS[1:6], strict=True)
    assert languages == ("python", "bash", "", "python", "")
    for cell, expected in (texts[1:3], texts[3:5]):
        done = kernel.run(cell)
        # of the second, which lasts some moments, only a loaded machine shows a card
        displayed = [data["text/plain"] for data in done.displays[-1:] if "✔" in expected]
        assert plain("".join([*displayed, done.text(), done.error])) == plain(expected)


def test_the_other_cells(kernel):
    kernel.run("import ipyproc")
    cells = [text for language, text in BLOCKS[6:] if language]
    assert cells
    for cell in cells:
        assert kernel.run(cell).status == "ok", cell


@pytest.mark.parametrize(
    "name",
    ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))],
)
def test_links_lead_somewhere(name):
    path = ROOT / name
    for target in re.findall(r"\]\((?!https?:)([^)#\s]+)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), target
