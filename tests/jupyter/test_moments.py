"""When each line came, which line came at a moment, and the picture of CPU and memory that stays."""

import re
import time
from xml.etree import ElementTree

import pytest

from ipyproc._jupyter.page import messages
from ipyproc._jupyter.views import figures, spark
from ipyproc._jupyter.views.figures import Point, halved

from .test_card import Page, is_answer, shown
from .test_kept import click, link, model


def ask(kernel, page, **question):
    page.send(id="q", **question)
    return kernel.idle_messages(lambda m: is_answer(m, "time"))[-1]["content"]["data"]["content"]


def test_a_page_learns_when_a_row_came_and_which_row_came_when(kernel):
    page = Page(kernel)
    before = time.time()
    kernel.run("%aproc --bg --proc p {program} out one sleep 0.5 err two sleep 0.4 out three stall", on_message=page)
    kernel.run("while p.log.lines < 3: await p.log.changed(p.log.bytes)")
    after = time.time()
    found = [ask(kernel, page, op="time", stream=0, row=row) for row in range(3)]
    assert all(messages.fits(answer, messages.RowTime) for answer in found)
    assert [(answer["row"], answer["id"], answer["stream"]) for answer in found] == [(row, "q", 0) for row in range(3)]
    assert before <= found[0]["at"] < found[1]["at"] < found[2]["at"] <= after
    assert 0 <= found[0]["gap"] <= found[0]["at"] - before, "since the start"
    for n, slept in ((1, 0.5), (2, 0.4)):
        assert found[n]["gap"] == pytest.approx(found[n]["at"] - found[n - 1]["at"])
        assert found[n]["gap"] > slept - found[n]["within"]
    alone = ask(kernel, page, op="time", stream=1, row=1)
    assert (alone["at"], alone["gap"]) == (found[2]["at"], pytest.approx(found[2]["at"] - found[0]["at"]))
    assert [ask(kernel, page, op="time", stream=0, row=row)["at"] for row in (3, messages.MOST_NUMBER)] == [None, None]
    started = found[0]["at"] - found[0]["gap"]
    for row, answer in enumerate(found):
        ms = round(1000 * (answer["at"] - started)) + 100
        assert ask(kernel, page, op="row_at", stream=0, ms=ms)["row"] == row
    assert ask(kernel, page, op="row_at", stream=0, ms=messages.MOST_NUMBER)["row"] == 2
    assert ask(kernel, page, op="row_at", stream=2, ms=0)["row"] == 0
    kernel.run("await p.stop()")
    assert ask(kernel, page, op="time", stream=0, row=1)["gap"] == found[1]["gap"], "also when it has ended"


def test_what_a_screen_has_rewritten_has_no_time(kernel):
    page = Page(kernel)
    kernel.run("%aproc --bg --proc p {program} out one raw 1b5b410a out two stall", on_message=page)
    kernel.run("while p.log.lines < 3: await p.log.changed(p.log.bytes)")
    answer = ask(kernel, page, op="row_at", stream=0, ms=10_000)
    assert (answer["row"], answer["at"], answer["gap"]) == (None, None, None)
    kernel.run("await p.stop()")


def test_the_picture_is_kept_though_nobody_watched(fresh_kernel):
    kernel = fresh_kernel
    kernel.run("from ipyproc._jupyter.views import figures, spark; figures.PERIOD, spark._LEAST_SECONDS = 0.25, 0.0")
    done = kernel.run("%aproc {program} out one sleep 2 out two")
    saved = done.of_type("update_display_data")[-1]["data"]
    picture = re.search(r"<svg.*?</svg>", saved["text/html"])[0]
    assert re.search(
        r'aria-label="CPU \(line\) and memory \(area\) over \d\.\d s: at most \d+ % and [\d.]+ .B"', picture
    )
    assert "svg" not in saved["text/plain"]
    messages_of = click(kernel, link(done))
    card = model(messages_of)
    job = shown(messages_of, card)[-1]["job"]
    kernel.comm(card, op="watch", view="v", on=True, job=job)
    told = kernel.idle_messages(lambda m: is_answer(m, "history"))[-1]["content"]["data"]["content"]
    assert messages.fits(told, messages.History)
    assert len(told["elapsed"]) == len(told["cpu"]) == len(told["memory"]) >= 4
    assert told["elapsed"] == sorted(told["elapsed"]) and 0 < told["elapsed"][-1] <= 2.5
    assert max(told["memory"]) > 1_000_000


# --- the picture itself --------------------------------------------------------------------------------------------


class Run:
    """What a history and a picture need of a run; `duration` is set by hand."""

    duration = 0.0
    is_over = False


@pytest.fixture
def run():
    return Run()


def test_a_history_is_bounded_and_covers_the_whole_run(run):
    history = figures.history_of(run)
    assert figures.history_of(run) is history
    used = 0.0
    for second in range(1, 5001):
        run.duration = float(second)
        if second > 2500:
            used += 2
        if history.is_due:
            history.add(used, 1000 * second)
        assert len(history.points) <= 120
    points = history.points
    assert len(points) >= 60 and history.period == 64 and points[-1].elapsed > 5000 - 64
    assert {point.cpu for point in points if point.elapsed < 2400} == {0}
    assert {point.cpu for point in points if point.elapsed > 2700} == {200}
    assert all(point.memory == pytest.approx(1000 * point.elapsed) for point in points)
    run.is_over = True
    assert not history.is_due
    history.add(used, 5)
    assert history.points == points


def test_two_points_become_one():
    points = [Point(1, 100, 5), Point(2, 50, 9), Point(3, 7, 1)]
    assert halved(points) == [Point(2, 75, 9), Point(3, 7, 1)]


def picture(run, points):
    figures.history_of(run).points = points
    return spark.svg(run)


def test_the_picture_is_small_static_and_says_its_peaks(run):
    run.duration = 182.0
    found = picture(run, [Point(1.5 * n, 387 if n == 60 else 50, 10_000_000 * n) for n in range(1, 121)])
    assert len(found) < 2000, "bytes that each notebook keeps"
    words = "CPU (line) and memory (area) over 3:02: at most 387 % and 1.2 GB"
    root = ElementTree.fromstring(found)
    svg = root.find("svg")
    assert (root.get("title"), svg.get("aria-label"), svg.get("role")) == (words, words, "img")
    assert "".join(root.itertext()) == "", "nothing is left where SVG is taken away"
    area, line = ([*map(int, re.findall(r"\d+", path.get("d")))] for path in svg.findall("path"))
    xs, ys = line[::2], line[1::2]
    assert xs == sorted(xs) and (xs[0], xs[-1]) == (0, 160)
    assert all(1 <= y <= 31 for y in ys) and abs(xs[ys.index(min(ys))] - 80) <= 2, "the peak was in the middle"
    assert area[-2:] == [160, 32] and area[3] > area[-3], "it grows"


@pytest.mark.parametrize(("duration", "count"), [(4.9, 10), (60.0, 3), (60.0, 0)])
def test_a_short_run_has_no_picture(run, duration, count):
    run.duration = duration
    assert picture(run, [Point(n + 1.0, 1, 1) for n in range(count)]) == ""


def test_a_run_that_used_nothing_has_a_picture(run):
    run.duration = 10.0
    assert "at most 0 % and 0 B" in picture(run, [Point(n + 1.0, 0, 0) for n in range(9)])
