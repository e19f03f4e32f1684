"""Figures for people: none that rounding makes look wrong."""

import pytest

from ipyproc._core.status import duration_words, size_words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.42, "0.42 s"), (12.94, "12.9 s"), (59.94, "59.9 s"), (59.96, "1:00"), (182.9, "3:02"), (3605, "1:00:05")],
)
def test_spans_of_time(seconds, words):
    assert duration_words(seconds) == words


@pytest.mark.parametrize(
    ("count", "words"),
    [(783, "783 B"), (1000, "1.0 kB"), (999_940, "999.9 kB"), (999_960, "1.0 MB"), (5 * 10**15, "5000.0 TB")],
)
def test_sizes(count, words):
    assert size_words(count) == words
