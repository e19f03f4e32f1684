"""Clients that are no pages, as they are: each line is to be seen once, in order, and the prompt comes back."""

import pytest

from ..campaigns import front_ends


@pytest.mark.parametrize("name", ["console", "engine"])
def test_each_line_is_there_once(name):
    assert front_ends.run(name) == []
