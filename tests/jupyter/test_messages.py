"""The schema of what page and kernel say to each other: the same for both languages, and checked when it comes."""

import hashlib
import re
from typing import Annotated, Literal, get_args, get_origin, is_typeddict

import pytest

from ipyproc._jupyter.page import messages
from js import messages as generator

REQUESTS = (messages.CardRequest, messages.TableRequest, messages.JobsRequest, messages.GreetingRequest)
ANSWERS = (messages.CardMessage, messages.TableMessage, messages.JobsMessage, messages.GreetingMessage)
STAMP = {"job": "j" * 32, "page": "p", "n": 1, "version": messages.VERSION, "as_text": False}
CASES = [(union, kind) for union in REQUESTS for kind in get_args(union)]
SCHEMA = (7, "5dbb97c22f8fcd76")


def test_the_front_end_has_the_same_schema():
    assert generator.FILE.read_text(encoding="utf-8") == generator.fresh(), "run `python js/messages.py`"


def test_a_schema_that_has_changed_has_a_new_version():
    without_notes = re.sub(r"/\*\*.*?\*/|//[^\n]*|\s|VERSION = \d+", "", generator.fresh(), flags=re.DOTALL)
    now = hashlib.sha256(without_notes.encode()).hexdigest()[:16]
    assert (messages.VERSION, now) == SCHEMA, "raise VERSION and put both here: a page of before must not go on"


@pytest.mark.parametrize("union", [*REQUESTS, *ANSWERS])
def test_an_operation_means_one_thing(union):
    operations = [op for kind in get_args(union) for op in get_args(messages.fields(kind)["op"])]
    assert len(operations) == len(set(operations))


def test_every_message_is_said_by_somebody():
    said = {kind for union in (*REQUESTS, *ANSWERS) for kind in get_args(union)}
    assert said == {each for each in vars(messages).values() if is_typeddict(each) and "op" in messages.fields(each)}


def examples(hint):
    """(values that are allowed, values that are not) for a field of a request."""
    if get_origin(hint) is Literal:
        return list(get_args(hint)), ["", "state", "STOP", None, 1, [get_args(hint)[0]], {}]
    if get_origin(hint) is Annotated:
        kind, allowed = get_args(hint)
        least, most = allowed[0], allowed[-1]
        if kind is int:
            return [least, most], [least - 1, most + 1, 10**30, True, 1.0, "1", None, [1]]
        good = ["x" * least, "x" * most, "é" * (most // 2)]
        return good, [*(["x" * (least - 1)] if least else []), "x" * (most + 1), "é" * (most // 2 + 1), 1, None, ["x"]]
    return {bool: ([True, False], [0, 1, None, "true"])}[hint]


@pytest.mark.parametrize(("union", "kind"), CASES, ids=lambda each: getattr(each, "__name__", ""))
def test_a_request_is_taken_only_as_it_should_be(union, kind):
    hints = messages.fields(kind)
    good = STAMP | {name: examples(hint)[0][0] for name, hint in hints.items()}
    assert messages.read(good, union) is good
    assert messages.read({**good, "more": {}}, union)
    for name, hint in hints.items():
        allowed, refused = examples(hint)
        assert [value for value in allowed if not messages.read({**good, name: value}, union)] == []
        assert [value for value in refused if messages.read({**good, name: value}, union)] == []
        assert not messages.read({key: value for key, value in good.items() if key != name}, union)


@pytest.mark.parametrize(
    "wrong",
    [
        *({"job": each} for each in (None, 1, ["j"])),
        *({"page": each} for each in (None, 1, "p" * 65)),
        *({"n": each} for each in (None, -1, "1", True, 1.5, 1 << 53)),
        *({"version": each} for each in (None, messages.VERSION - 1, messages.VERSION + 1, "1", True)),
    ],
    ids=str,
)
def test_a_stamp_is_taken_only_as_it_should_be(wrong):
    good = {"op": "ping", **STAMP}
    assert messages.read(good, messages.CardRequest)
    assert messages.read(good | wrong, messages.CardRequest) is None
    assert messages.read({key: good[key] for key in good.keys() - wrong.keys()}, messages.CardRequest) is None


@pytest.mark.parametrize("content", [None, "kill", 1, [], {}, ["op", "kill"], {"op": "kill"}, {1: 2}])
def test_what_is_no_message_is_none(content):
    assert messages.read(content, messages.CardRequest) is None


def test_a_text_of_broken_characters_is_measured_too():
    assert messages.fits("\ud800" * 64, messages.Id)
    assert not messages.fits("\ud800" * 65, messages.Id)


def test_what_the_kernel_says_is_checked_by_these_tests(kernel):
    """Else the check in `KernelSession` could be one that never fails."""
    kernel.run("%aproc --bg --proc p {program} out ready stall")
    last = "[each for each in __import__('ipywidgets').Widget.widgets.values() if type(each).__name__ == 'Card'][-1]"
    with pytest.raises(AssertionError, match="piece"):
        kernel.run(f"{last}.send({{'op': 'piece', 'id': 'x'}})")
    kernel.run("")
    with pytest.raises(AssertionError, match="elsewhere"):
        kernel.run(f"card = {last}; card.shown = {{**card.shown, 'name': 'elsewhere'}}")
    assert kernel.run("await p.stop()").value == "-15"


def test_a_page_of_another_version_presses_no_button(kernel):
    (card,) = kernel.run("%aproc --bg --proc p {program} out ready stall").cards
    for version in (messages.VERSION - 1, messages.VERSION + 1, None):
        kernel.comm(card, op="kill", job=kernel.jobs[card], version=version)
    assert kernel.run("p.returncode, p.ladder.sent").value == "(None, None)"
    kernel.comm(card, op="kill", job=kernel.jobs[card])
    assert kernel.run("await p.wait()").value == "-9"
