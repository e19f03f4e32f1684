"""Figures for people: none that rounding makes look wrong."""

import ast
import re
from pathlib import Path

import pytest

from ipyproc._core.output.phrases import duration_words, size_words

pytestmark = pytest.mark.pure

WORDS_OF_THE_PAGE = Path(__file__).parents[2] / "js" / "tests" / "words.test.ts"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.42, "0.42 s"), (12.94, "12.9 s"), (59.94, "59.9 s"), (59.96, "1:00"), (182.9, "3:02"), (3605, "1:00:05")],
)
def test_spans_of_time(seconds, words):
    assert duration_words(seconds) == words


def test_sizes_are_written_as_in_the_page():
    table = re.search(r"const SIZES = (\[.*?\n\]);", WORDS_OF_THE_PAGE.read_text(), re.DOTALL)[1]
    sizes = [tuple(each) for each in ast.literal_eval(table)]
    assert len(sizes) > 10
    assert [(count, size_words(int(count))) for count, _ in sizes] == sizes
