"""The cells of the README give the output that the README shows."""

import re
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"


def plain(text):
    """Without what differs from run to run: the path of Python, the seconds, the memory."""
    return re.sub(r"`\S*python\S*", "`python", re.sub(r"\d+\.\d+ (s|MB)", r"N \1", text)).strip()


def test_the_first_cells(kernel):
    lines = README.read_text().splitlines()
    blocks = re.findall(r"```(\w*)\n(.*?)```", "\n".join(lines[:30]), re.DOTALL)[1:]
    assert [language for language, _ in blocks] == ["python", "bash", "", "python", ""]
    shown = [text for language, text in blocks if not language]
    for (_, cell), expected in zip([blocks[1], blocks[3]], shown, strict=True):
        done = kernel.run(cell)
        # of the second, which lasts some moments, only a loaded machine shows a card
        displayed = [data["text/plain"] for data in done.displays[-1:] if "✔" in expected]
        assert plain("".join([*displayed, done.text(), done.error])) == plain(expected)
