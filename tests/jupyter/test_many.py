"""Many cards in one cell begin as one line; those that come one after the other do not."""

import json

import pytest

from .test_card import shown

pytestmark = pytest.mark.pure


def lines(kernel, done):
    """Whether each card begins as one line, in their order."""
    return [shown(done.messages, card)[-1]["line"] for card in dict.fromkeys(done.cards)]


def test_only_those_that_stand_there_at_once_count(kernel):
    one = "%aproc --bg {program} stall"
    assert lines(kernel, kernel.run("\n".join([one] * 5))) == [False, False, False, True, True]
    assert lines(kernel, kernel.run(one)) == [False], "another cell"
    kernel.run("%aprocs kill all", headless=True)
    assert lines(kernel, kernel.run("for n in range(5):\n    %aproc {program} out x sleep 0.3")) == [False] * 5


def test_its_transcript_is_folded_unless_it_failed(kernel):
    code = (
        "import ipyproc\nps = [await ipyproc.start('sh', '-c', f'echo out; sleep 0.5; exit {int(n == 4)}') for n in range(5)]\n"
        "for p in ps: p.view()\nfor p in ps: await p.wait()\nawait asyncio.sleep(0.5)"
    )
    done = kernel.run("import asyncio\n" + code)
    last = {json.dumps(each): each for each in done.displays if "text/html" in each}.values()
    folded = ["<details>" in each["text/html"] for each in last]
    assert sorted(folded) == [False] * 4 + [True], folded
    assert all("out" in each["text/plain"] for each in last)
