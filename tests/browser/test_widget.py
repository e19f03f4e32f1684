"""`ipyproc.widget` in a real page: in a box, twice, in an Output that a button fills, after the end; and a process as it is."""

import re

from playwright.sync_api import expect


def test_cards_wherever_one_likes(notebook, picture):
    lab = notebook(
        "import asyncio, ipyproc\nfrom ipywidgets import Button, Output, Tab, VBox\n"
        "p = await ipyproc.start('sh', '-c', 'echo begun; while true; do sleep 0.1; done', name='tool')\n"
        "card = ipyproc.widget(p)\nVBox([card, Tab([card], titles=['the same'])])",
        "out = Output()\nbutton = Button(description='View')\n"
        "def view(_):\n    with out:\n        p.view()\n"
        "button.on_click(view)\nVBox([button, out])",
        "p",
        "batch = ipyproc.parallel([['true'], ['sh', '-c', 'echo why; exit 3'], ['sleep', '600']], jobs=3, "
        "on_failure='finish', check=False, progress=False)\n"
        "bars = ipyproc.widget(batch)\ntask = asyncio.ensure_future(batch)\nVBox([bars])",
        "import time\ndone = await task\n[each.returncode for each in done], bars.state, p.returncode",
        "ipyproc.widget(p)",
    )
    for number in (1, 2, 3, 4):
        lab.run(number)
        lab.expect_done(number)
    both = lab.cell(1).locator(".ipyproc-card")
    expect(both).to_have_count(2)
    for number in (0, 1):
        expect(both.nth(number).get_by_role("status")).to_have_text("Running")
        expect(both.nth(number).get_by_role("log")).to_contain_text("begun")
    lab.cell(2).get_by_role("button", name="View").click()
    viewed = lab.cell(2).locator(".ipyproc-card")
    expect(viewed.get_by_role("log")).to_contain_text("begun")
    shown = lab.cell(3).locator(".ipyproc-card")
    expect(shown.get_by_role("log")).to_contain_text("begun")
    bars = lab.cell(4).locator(".ipyproc-jobs")
    expect(bars).to_contain_text("1 of 3 done · 1 failed · 1 running")
    picture("widgets")

    bars.get_by_role("button", name=re.compile("^Stop")).click()
    lab.run(5)
    lab.expect_done(5)
    expect(lab.output(5).last).to_have_text("([0, 3, -15], 'failed', None)")
    expect(bars).to_contain_text("1 of 3 done · 2 failed")

    both.nth(1).get_by_role("button", name=re.compile("^Kill")).click()
    for each in (both.nth(0), both.nth(1), viewed):
        expect(each.get_by_role("status")).to_have_text(re.compile(r"^Killed"))
    expect(lab.cell(3).locator(".ipyproc-transcript, pre").first).to_contain_text("begun")
    expect(shown).to_have_count(0)
    lab.run(6)
    lab.expect_done(6)
    late = lab.cell(6).locator(".ipyproc-card")
    expect(late.get_by_role("status")).to_have_text(re.compile(r"^Killed"))
    expect(late.get_by_role("log")).to_contain_text("begun")
    picture("widgets-ended")
