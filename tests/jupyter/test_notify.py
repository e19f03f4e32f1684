"""`--notify`: the page is told once of the end of a program that ran long enough, and of nothing else."""

import pytest

from .test_card import Page, shown


def notices(messages, card):
    """What the page was told of ends."""
    contents = [m["content"] for m in messages if m["msg_type"] == "comm_msg" and m["content"]["comm_id"] == card]
    told = [content["data"].get("content") or {} for content in contents]
    return [(each["label"], each["took"]) for each in told if each.get("op") == "notify"]


@pytest.mark.parametrize(("end", "label"), [("true", "Done, exit 0"), ("exit 3", "Failed, exit 3")])
def test_it_tells_once_how_it_ended(kernel, end, label):
    page = Page(kernel)
    done = kernel.run(f"%%aproc --notify\necho x; sleep 0.5; {end}", on_message=page)
    assert [shown(done.messages, page.card)[n]["notifies"] for n in (1, -1)] == [True, False]
    [(said, took)] = notices(done.messages, page.card)
    assert said == label and 0.5 <= float(took.removesuffix(" s")) < 60


def test_not_of_a_program_that_was_quick(kernel):
    page = Page(kernel)
    done = kernel.run("%%aproc --notify 1h\necho x; sleep 0.5", on_message=page)
    assert done.status == "ok" and shown(done.messages, page.card)
    assert notices(done.messages, page.card) == []


def test_the_end_of_the_program_and_not_of_what_it_left(kernel):
    page = Page(kernel)
    messages = kernel.run("%%aproc --bg --notify --proc p\nsleep 600 & sleep 0.3", on_message=page).messages
    while not (told := notices(messages, page.card)):
        messages += kernel.idle_messages(lambda m: bool(notices([m], page.card)))
    assert told[0][0] == "Done, exit 0; 1 process left"
    messages = kernel.run("await p.stop(0); await p.ladder.finished()").messages
    assert notices(messages, page.card) == []


@pytest.mark.parametrize("flag", ["--plain", "--quiet", "headless"])
def test_where_there_is_no_page_it_is_an_error_before_anything_starts(kernel, flag):
    options = flag if flag.startswith("-") else ""
    done = kernel.run(f"%aproc --notify {options} touch notified", headless=flag == "headless")
    assert done.error.startswith("UsageError: --notify: there will be no card here")
    assert kernel.json("__import__('os').path.exists('notified')") is False
