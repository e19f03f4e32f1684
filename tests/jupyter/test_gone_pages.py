"""Pages that are loaded anew or closed say nothing any more: nothing is measured for them, and nothing is kept for ever."""

import itertools
import time

import pytest

from ipyproc._jupyter.page import widget

from .test_aprocs import rows, state_is
from .test_card import Page, is_tail

pytestmark = pytest.mark.pure

OPEN = "sorted(type(each).__name__ for each in _instances.values() if type(each).__module__.startswith('ipyproc'))"
ALONE = "['Greeting']"  # not what was open before: that may be closed meanwhile


@pytest.fixture
def kernel(kernel):
    """As always; what is to be closed after a while is closed soon."""
    kernel.run("from ipywidgets.widgets.widget import _instances; from ipyproc._jupyter.page import widget")
    kernel.run("before = widget.LINGER, widget.SILENCE; widget.LINGER = 0.2")
    kernel.run(
        "live = get_ipython().magics_manager.registry['AProcMagics']._live\nif live: live.close(); get_ipython().magics_manager.registry['AProcMagics']._live = None"
    )
    yield kernel
    kernel.run("widget.LINGER, widget.SILENCE = before")
    kernel.run("%aprocs kill all", headless=True)


@pytest.fixture
def now(monkeypatch):
    """The time, which goes on when the test says so."""
    at = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: at[0])
    return at


def test_views_that_say_nothing_are_not_in_sight(now):
    seen = widget.InSight(3)
    assert [seen.add(view) for view in "aba"] == [True, True, False] and len(seen) == 2
    now[0] += widget.SILENCE - 1
    assert not seen.add("b")
    now[0] += 2
    assert len(seen) == 1 and seen.add("a"), "it was forgotten, and so it is new"
    for view in "cdef":
        seen.add(view)
    assert len(seen) == 3 and seen.add("a"), "the oldest makes room"
    seen.discard("f")
    seen.discard("never there")
    assert len(seen) == 2
    now[0] += widget.SILENCE + 1
    assert not seen


def test_the_views_of_the_last_page_count():
    pages = widget.Pages()
    assert (len(pages), pages.views) == (0, 0)
    pages.add("a")
    pages.add("a")
    assert (len(pages), pages.views) == (1, 2)
    pages.add("b")
    assert (len(pages), pages.views) == (2, 1)
    pages.discard("a")
    assert (len(pages), pages.views) == (2, 1), "a page that is still there, in another tab"
    for _ in range(3):
        pages.discard("b")
        pages.discard("never there")
    assert (len(pages), pages.views) == (2, 0)
    for number in range(5000):
        pages.add(f"page {number}")
    assert len(pages) <= 1000 and pages.views == 1


def test_the_table_goes_on_after_any_number_of_reloads(kernel):
    kernel.run("%aproc --bg --proc p {program} stall")
    (table,) = kernel.run("%aprocs").cards
    number = kernel.json("max(get_ipython().magics_manager.registry['AProcMagics'].table.running)")
    for load in range(150):
        kernel.comm(table, op="watch", job=kernel.jobs[table], view=f"view-{load}", on=True, page=f"load-{load}")
    kernel.run("")
    kernel.comm(table, op="watch", job=kernel.jobs[table], view="the last", on=True, page="the last")
    kernel.idle_messages(state_is(table, number, "running"))
    kernel.comm(table, op="kill", job=kernel.jobs[table], id=number, page="the last")
    kernel.idle_messages(state_is(table, number, "signaled"))


def test_a_closed_tab_is_not_measured_for(kernel):
    kernel.run("widget.SILENCE = 0.5\n%aproc --bg --proc p {program} stall")
    (table,) = kernel.run("%aprocs").cards
    kernel.run("live = get_ipython().magics_manager.registry['AProcMagics']._live")
    kernel.comm(table, op="watch", job=kernel.jobs[table], view="v", on=True)
    kernel.idle_messages(lambda message: rows(message, table))
    assert kernel.eventually("live._timer is None and not live._views", "True")
    kernel.comm(table, op="watch", job=kernel.jobs[table], view="v", on=True)
    kernel.idle_messages(lambda message: rows(message, table))


def test_a_card_of_a_closed_tab_is_not_measured(kernel):
    page = Page(kernel)
    kernel.run("widget.SILENCE = 0.5\n%aproc --bg --proc p {program} stall", on_message=page)
    page.send("watch", view="v", on=True)
    watching = "[len(o._watching) for o in _instances.values() if getattr(o, '_run', None) is p][0]"
    assert kernel.eventually(watching, "1")
    assert kernel.eventually(watching, "0")


def test_a_widget_answers_after_any_number_of_reloads(kernel):
    page = Page(kernel)
    kernel.run("%aproc --bg --proc p {program} stall", on_message=page)
    for burst in range(12):
        for load in range(100):
            page.send("bye", page=f"load-{burst}-{load}")
        kernel.run("")
    page.send("ping", page="the last")
    kernel.idle_messages(lambda message: is_tail(message, page.card))
    assert kernel.json("[len(o._last_numbers) for o in _instances.values() if getattr(o, '_run', None) is p]") == [1000]


def run_card(kernel, *, loads=1, bye=False, code="%aproc sh -c 'echo a; sleep 0.4'"):
    """A card that so many loads of a page have seen before its end; its id."""
    page = Page(kernel)
    seen = []

    def look(message):
        page(message)
        if page.card and kernel.jobs.get(page.card) and not seen:
            seen.extend(range(1, loads))
            for load in seen:
                page.send("ready", page=f"load-{load}")

    kernel.run(code, on_message=look, page="load-0" if loads else "")
    if bye and page.card:  # on a busy machine a short command may have ended before its card
        page.send("bye", page=f"load-{max(0, loads - 1)}")
    return page


MANY = "import ipyproc; _ = await ipyproc.parallel([['sleep', '0.6']])"


@pytest.mark.parametrize("code", ["%aproc sh -c 'echo a; sleep 0.4'", MANY], ids=["card", "jobs"])
@pytest.mark.parametrize(
    ("loads", "bye"),
    [(1, True), (1, False), (2, True), (3, True)],
    ids=["shown", "no bye", "loaded anew", "loaded twice"],
)
def test_what_has_ended_and_is_not_shown_is_closed(kernel, loads, bye, code):
    run_card(kernel, loads=loads, bye=bye, code=code)
    assert kernel.eventually(OPEN, ALONE)


@pytest.mark.parametrize("code", ["%aproc sh -c 'echo a; sleep 0.4'", MANY], ids=["card", "jobs"])
def test_what_no_page_has_shown_is_closed(kernel, code):
    run_card(kernel, loads=0, code=code)
    assert kernel.eventually(OPEN, ALONE)


def test_what_has_ended_stays_while_it_is_shown_or_comes_again_soon(kernel):
    page = run_card(kernel, loads=2)
    kernel.run("await __import__('asyncio').sleep(2 * widget.LINGER)")
    page.send("ping", page="load-1")
    kernel.idle_messages(lambda message: is_tail(message, page.card))
    kernel.run("widget.LINGER = 60")
    page.send("bye", page="load-1")  # its cell is moved
    page.send("ready", page="load-1")
    kernel.idle_messages(lambda message: is_tail(message, page.card))
    kernel.run("widget.LINGER = 0.2")
    page.send("bye", page="load-1")
    kernel.idle_messages(lambda m: m["msg_type"] == "comm_close" and m["content"]["comm_id"] == page.card)


def test_not_many_stay_for_pages_that_are_gone_without_a_word(kernel):
    kernel.run(
        "from ipyproc._jupyter.cell import showing; delay, showing.CARD_DELAY = showing.CARD_DELAY, 0; widget.MOST_STAYING = 5"
    )
    for _ in range(10):
        run_card(kernel, loads=2, code="%aproc sleep 0.5")
    assert kernel.eventually(OPEN, str([*["Card"] * 5, "Greeting"]))
    kernel.run("for each in list(_instances.values()):\n    if type(each).__name__ == 'Card': each.close()")
    kernel.run("showing.CARD_DELAY = delay")


def test_a_long_day(kernel):
    """Cells of all kinds, with pages that are loaded anew now and then: at the end nothing is left."""
    kernel.run("from ipyproc._jupyter.cell import showing; delay, showing.CARD_DELAY = showing.CARD_DELAY, 0")
    cards = [
        run_card(kernel, loads=loads, bye=bye, code="%aproc sleep 0.05").card
        for loads, bye in itertools.islice(itertools.cycle([(1, True), (2, True), (1, False), (3, True)]), 40)
    ]
    assert sum(map(bool, cards)) > 20
    assert kernel.eventually(OPEN, ALONE)
    kernel.run("showing.CARD_DELAY = delay")
