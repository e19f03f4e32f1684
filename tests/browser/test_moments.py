"""The time axis: a line says when it came, and the picture of CPU and memory leads to the line that was printed then."""

import re

from playwright.sync_api import expect

SOONER = "from ipyproc._jupyter.views import figures, spark; figures.PERIOD, spark._LEAST_SECONDS = 0.25, 0.0"
TOLD = re.compile(r"^(\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d\.\d · 1\.[2-9] s after the line before$")


def test_lines_say_when_they_came_and_a_moment_leads_to_its_line(notebook, page, picture, program):
    lab = notebook(
        f"{SOONER}; import sys; program = {program('lines', '500', 'sleep', '1.3', 'out', 'middle', 'sleep', '1.3', 'lines', '500')!r}",
        "%aproc {program}",
    )
    lab.run(1)
    lab.run(2)
    lab.expect_done(2)
    saved = lab.output(2).locator(".ipyproc-transcript")
    expect(
        saved.get_by_role("img", name=re.compile(r"^CPU \(line\) and memory \(area\) over 2\.\d s: at most"))
    ).to_be_visible()
    picture("moments-saved")
    saved.get_by_role("link", name=re.compile("^Open the viewer")).click()
    card = lab.output(2).locator(".ipyproc-card")
    slider = card.get_by_role("slider", name=re.compile("^CPU and memory over time"))
    width = slider.bounding_box()["width"]
    slider.click(position={"x": 0.65 * width, "y": 8})
    marked = card.locator(".ipyproc-marked")
    expect(marked).to_have_text("middle")
    expect(card.locator(".ipyproc-said")).to_contain_text(re.compile(r"Line 501: .* s after the line before"))
    marked.hover()
    tip = card.get_by_role("tooltip")
    expect(tip).to_have_text(TOLD)
    row, told = marked.bounding_box(), tip.bounding_box()
    assert abs(row["y"] - told["y"]) <= 1 and told["x"] > row["x"] + 100
    picture("moments-open")
    card.get_by_role("log").hover(position={"x": 60, "y": 60})
    expect(tip).to_have_text(re.compile(r" · less than 0\.1 s after the line before$"))
    slider.press("Home")
    expect(marked).to_have_text("line 0")
    expect(slider).to_have_attribute("aria-valuenow", "0")
    card.get_by_role("log").press("t")
    expect(card.locator(".ipyproc-said")).to_contain_text(re.compile(r"^Line 1: .* after the start$"))
    expect(tip).to_be_hidden()
