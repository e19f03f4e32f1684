"""Pages that draw no cards, or hear of them late: the output is there all the same, and nobody waits."""

import pytest
from playwright.sync_api import expect

from ..campaigns import front_ends as campaign

pytestmark = pytest.mark.new_page

LINES = [f"line {n}" for n in range(8)]
PROGRAM = "%aproc --name lines sh -c 'for n in 0 1 2 3 4 5 6 7; do echo line $n; sleep 0.5; done'"


def lines_of(outputs):
    """What a saved cell shows, line by line."""
    parts = [each["text"] if "text" in each else [*each["data"]["text/plain"], "\n"] for each in outputs]
    text = "".join(part for each in parts for part in each)
    return [line for line in text.split("\n") if line in LINES]


def test_where_the_server_has_no_code_for_widgets_like_ours(page, notebook):
    page.route("**/extensions/anywidget/**", lambda route: route.abort())
    lab = notebook(PROGRAM, PROGRAM)
    lab.run(1)
    expect(lab.output(1).filter(has_text="line 3")).to_be_visible()
    lab.expect_done(1)
    lab.run(2)
    expect(lab.output(2).filter(has_text="line 3")).to_be_visible()
    lab.expect_done(2)
    expect(lab.cards).to_have_count(0)
    expect(page.get_by_text("javascript error")).to_have_count(0)
    cells = lab.save()["cells"]
    assert lines_of(cells[1]["outputs"]) == lines_of(cells[2]["outputs"]) == LINES
    assert [each["output_type"] for each in cells[2]["outputs"]] == ["stream"], "it is known by then"


LATE = """
globalThis.late = 0;  // milliseconds
globalThis.WebSocket = class extends WebSocket {
  send(data) { if (late) setTimeout(() => super.send(data), late); else super.send(data); }
  set onmessage(call) { super.onmessage = (event) => (late ? setTimeout(() => call(event), late) : call(event)); }
};
"""


def test_a_page_whose_messages_are_late(page, notebook):
    page.add_init_script(LATE)
    lab = notebook("%reload_ext ipyproc", PROGRAM.replace("0.5", "1"), PROGRAM.replace("0.5", "0.1"))
    page.evaluate("late = 1500")
    lab.run(1)
    lab.run(2)
    lab.expect_done(2)
    lab.run(3)
    lab.expect_done(3)
    page.evaluate("late = 0")
    cells = lab.save()["cells"]
    assert lines_of(cells[2]["outputs"]) == LINES
    assert lines_of(cells[3]["outputs"]) == LINES
    assert "ipyproc-transcript" in str(cells[3]["outputs"])


def test_a_program_in_the_first_cell_of_all(page, notebook):
    """Loaded in the same cell: the page has not said anything yet, and the first lines are text."""
    lab = notebook("%reload_ext ipyproc\n" + PROGRAM)
    lab.run(1)
    expect(lab.cards).to_have_count(1)
    expect(lab.cards.locator(".ipyproc-stop")).to_be_visible()
    lab.expect_done(1)
    expect(lab.cards).to_have_count(0)
    cells = lab.save()["cells"]
    assert lines_of(cells[1]["outputs"]) == LINES
    assert "ipyproc-transcript" in str(cells[1]["outputs"])


def test_nbclassic():
    assert campaign.run("classic") == []
