"""Many cards in one cell: from the fourth on they begin as one line, which a click or Enter unfolds."""

import re
import shlex

from playwright.sync_api import expect

from .test_states import AXE


def test_from_the_fourth_on_a_card_is_one_line(notebook, page, picture, program):
    lab = notebook(
        "import asyncio, ipyproc\nps = [await ipyproc.start('sh', '-c', f'echo \"[ {20 * n}%] building {n}\"; while [ ! -e end ]; "
        "do sleep 0.05; done; echo end', name=f'make {n}') for n in range(6)]\nfor p in ps: p.view()",
        "print('after')",
    )
    lab.run(1)
    lab.expect_done(1)
    cards = lab.cell(1).locator(".ipyproc-card")
    expect(cards).to_have_count(6)
    lines = lab.cell(1).locator(".ipyproc-card[data-line]")
    expect(lines).to_have_count(3)
    expect(cards.nth(2).get_by_role("log")).to_contain_text("building 2")
    expect(lines.locator(".ipyproc-last")).to_have_text([f"[ {20 * n}%] building {n}" for n in (3, 4, 5)])
    expect(lines.first.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "60")
    expect(lines.get_by_role("log")).to_have_count(0)
    expect(lines.get_by_role("button")).to_have_text(["", "Stop"] * 3)
    assert {round(each.bounding_box()["height"]) for each in lines.all()} <= set(range(30, 45))
    picture("many")
    page.evaluate(AXE)
    assert page.evaluate("axe.run('.ipyproc-card').then((found) => found.violations.map((each) => each.id))") == []

    fifth, last = cards.nth(4), cards.nth(5)
    last.locator(".ipyproc-last").click()
    expect(last.get_by_role("log")).to_contain_text("building 5")
    expect(last.get_by_role("button", name=re.compile("^Stop"))).to_be_visible()
    fifth.get_by_role("button", name="Show the card").press("Enter")
    expect(fifth.get_by_role("log")).to_contain_text("building 4")
    fifth.get_by_role("button", name="Fold to one line").press("Enter")
    expect(lines).to_have_count(2)
    last.locator(".ipyproc-title").click()
    expect(lines).to_have_count(2), "a click on the head of a card that is whole does nothing"
    last.get_by_role("button", name=re.compile("^Stop")).click()

    saved = lab.cell(1).locator(".ipyproc-transcript")
    expect(saved).to_contain_text("Stopped")
    expect(saved.locator("pre")).to_be_visible()
    (lab.server.root / "end").touch()
    expect(saved).to_have_count(6)
    (lab.server.root / "end").unlink()
    expect(saved.locator("pre:visible")).to_have_count(4)
    folded = saved.nth(3)
    expect(folded.locator("summary")).to_contain_text("Done, exit 0")
    folded.locator("summary").click()
    expect(folded.locator("pre")).to_contain_text("building 3")
    picture("many-ended")


def test_the_fold_is_remembered(notebook, page, program):
    lab = notebook(
        f"import ipyproc\nps = [await ipyproc.start(*{program('out', 'here', 'stall')!r}) for n in range(5)]\n"
        "for p in ps: p.view()"
    )
    lab.run(1)
    lab.expect_done(1)
    cards = lab.cell(1).locator(".ipyproc-card")
    expect(lab.cell(1).locator(".ipyproc-card[data-line]")).to_have_count(2)
    cards.nth(4).locator(".ipyproc-last").click()
    expect(lab.cell(1).locator(".ipyproc-card[data-line]")).to_have_count(1)
    lab.save()
    page.reload()
    expect(cards.nth(4).get_by_role("log")).to_contain_text("here")
    expect(lab.cell(1).locator(".ipyproc-card[data-line]")).to_have_count(1)


def test_a_line_is_stopped_as_it_is(notebook, page, picture, program):
    """By a click and by keys; it stays folded, and a second press does nothing more."""
    command = shlex.join(program("ignore", "TERM", "out", "deaf", "stall"))
    lab = notebook(
        f"for n in range(5): get_ipython().run_line_magic('aproc', {f'--bg --grace 600 {command}'!r})",
        "import ipyproc\nfor p in ipyproc.processes(): p.kill()",
    )
    lab.run(1)
    lab.expect_done(1)
    lines = lab.cell(1).locator(".ipyproc-card[data-line]")
    expect(lines.locator(".ipyproc-last")).to_have_text(["deaf", "deaf"])
    lines.first.get_by_role("button", name="Show the card").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    lines.last.get_by_role("button", name=re.compile("^Stop")).click()
    expect(lines.get_by_role("status")).to_have_text([re.compile(r"^Stopping \(SIGTERM sent \d+ s ago")] * 2)
    expect(lines.get_by_role("button", name=re.compile("^Stop")).and_(page.locator(":disabled"))).to_have_count(2)
    expect(lines).to_have_count(2), "it is still folded"
    for width in (1000, 520):
        page.set_viewport_size({"width": width, "height": 760})
        picture(f"line-stopping-{width}")
        for line in lines.all():
            box, stop = line.bounding_box(), line.locator(".ipyproc-stop").bounding_box()
            assert box["height"] < 45 and stop["width"] >= 20 and stop["x"] + stop["width"] <= box["x"] + box["width"]
    lab.run(2)
    lab.expect_done(2)
    expect(lines).to_have_count(0)


def test_many_cards_draw_in_the_same_frame(notebook, page):
    """A line a second each, at any moment: the page changes some times a second, and not once for each of them."""
    ticking = "for n in $(seq 12); do echo $n; sleep 0.5; done"
    lab = notebook(
        f"import asyncio, ipyproc\nps = []\nfor n in range(8):\n    ps.append(await ipyproc.start('sh', '-c', {ticking!r}))\n    "
        "ps[-1].view()\n    await asyncio.sleep(0.06)",
        "for p in ps: await p.wait()",
    )
    lab.run(1)
    lab.expect_done(1)
    expect(lab.cell(1).locator(".ipyproc-card")).to_have_count(8)
    lab.value(
        """void (window.drawn = [], new MutationObserver((list) => {
          const counts = list.filter(({ target }) => target.className === 'ipyproc-counts');
          if (counts.length) drawn.push(new Set(counts.map(({ target }) => target)).size);
        }).observe(document, { subtree: true, childList: true }))"""
    )
    lab.run(2)
    lab.expect_done(2)
    drawn = lab.value("drawn")
    assert sum(drawn) > 40, "each line is drawn"
    assert len(drawn) < 0.6 * sum(drawn) and max(drawn) > 2
