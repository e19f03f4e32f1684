"""The live table in a real JupyterLab: it follows the processes, its buttons act on them, it shows their cards."""

import re

from playwright.sync_api import expect


def test_the_live_table(notebook, picture):
    lab = notebook(
        "%aproc sh -c 'echo over; exit 3'",
        "%aproc --bg --proc p --name counting sh -c 'while true; do echo line; sleep 0.05; done'",
        "%aproc --bg --proc q --name sleeping sleep 600",
        "%aprocs",
        "(p.returncode, q.returncode), p.family.alive(), await q.stop(0)",
    )
    for number in (1, 2, 3, 4):
        lab.run(number)
        lab.expect_done(number)
    table = lab.cell(4).locator(".ipyproc-table")
    table.scroll_into_view_if_needed()  # out of sight it is told nothing
    rows = table.locator("tr.ipyproc-table-row")
    expect(table.get_by_role("status")).to_have_text("2 running, 1 ended")
    expect(rows.locator(".ipyproc-table-name")).to_have_text(["sleeping", "counting", "sh -c 'echo over; exit 3'"])
    expect(rows.locator(".ipyproc-table-word")).to_have_text(["Running", "Running", "Failed, exit 3"])
    expect(rows.locator(".ipyproc-table-origin").first).to_have_text(re.compile(r"^\[4\] · \d\d:\d\d:\d\d · pid \d+$"))
    counting = rows.nth(1)
    expect(counting.locator(".ipyproc-table-at-memory")).to_have_text(re.compile(r"^[\d.]+ [kM]B$"))
    expect(counting.locator(".ipyproc-table-at-lines")).to_have_text(re.compile(r"^[1-9]\d+$"))
    picture("table-running")

    counting.get_by_role("button", name=re.compile("^Pause")).click()
    expect(counting.locator(".ipyproc-table-word")).to_have_text("Paused")
    counting.get_by_role("button", name=re.compile("^Resume")).click()
    expect(counting.locator(".ipyproc-table-word")).to_have_text("Running")

    counting.get_by_role("button", name=re.compile("^Output")).click()
    card = table.locator(".ipyproc-card")
    expect(card.get_by_role("log")).to_contain_text("line")
    expect(card.get_by_role("status")).to_have_text("Running")
    picture("table-card")

    lab.page.keyboard.press("x")  # a key that is pressed in the table must not cut the cell
    counting.get_by_role("button", name=re.compile("^Stop")).press("Enter")
    expect(counting.locator(".ipyproc-table-word")).to_have_text(re.compile(r"^Stopped \(SIGTERM\)"))
    expect(card.get_by_role("status")).to_have_text(re.compile(r"^Stopped \(SIGTERM\)"))
    expect(table.get_by_role("status").first).to_have_text("1 running, 2 ended")
    expect(counting.get_by_role("button")).to_have_text(["Output"])
    counting.get_by_role("button", name=re.compile("^Output")).click()
    expect(card).to_have_count(0)
    counting.get_by_role("button", name=re.compile("^Output")).click()
    expect(card.get_by_role("log")).to_contain_text("line")
    expect(card.locator(".ipyproc-counts")).to_contain_text(counting.locator(".ipyproc-table-at-lines").inner_text())
    picture("table-stopped")
    counting.get_by_role("button", name=re.compile("^Output")).click()
    over = rows.nth(2)
    over.get_by_role("button", name=re.compile("^Output")).click()
    expect(card.get_by_role("log")).to_contain_text("over")
    over.get_by_role("button", name=re.compile("^Output")).click()
    lab.run(5)
    lab.expect_done(5)
    expect(lab.output(5).last).to_have_text("((-15, None), set(), -9)")
    expect(table.get_by_role("status")).to_have_text("0 running, 3 ended")

    lab.save()
    lab.page.reload()
    expect(lab.page.locator("#jp-main-statusbar")).to_contain_text("| Idle")
    table.scroll_into_view_if_needed()
    expect(table.get_by_role("status")).to_have_text("0 running, 3 ended")


def test_a_card_that_was_opened_is_opened_again_after_a_reload(notebook):
    lab = notebook("%aproc --bg --proc p sh -c 'echo line; sleep 600'", "%aprocs")
    for number in (1, 2):
        lab.run(number)
        lab.expect_done(number)
    table = lab.cell(2).locator(".ipyproc-table")
    card = table.locator(".ipyproc-card")
    table.scroll_into_view_if_needed()
    table.get_by_role("button", name=re.compile("^Output")).click()
    expect(card.get_by_role("log")).to_contain_text("line")
    lab.save()
    lab.page.reload()
    table.scroll_into_view_if_needed()
    expect(card.get_by_role("log")).to_contain_text("line")
    card.get_by_role("button", name=re.compile("^Stop")).click()
    expect(card.get_by_role("status")).to_have_text(re.compile(r"^Stopped \(SIGTERM\)"))
    table.get_by_role("button", name=re.compile("^Output")).click()
    lab.page.reload()
    expect(table.get_by_role("button", name=re.compile("^Output"))).to_have_attribute("aria-expanded", "false")


def test_a_table_in_sight_says_so_again_and_again(notebook):
    lab = notebook(
        "%aproc --bg --proc p sleep 600",
        "%aprocs",
        "import asyncio\n"
        "said_at = get_ipython().magics_manager.registry['AProcMagics']._live._views._said_at\n"
        "before = list(said_at.values())\n"
        "async with asyncio.timeout(60):\n"
        "    while list(said_at.values()) == before: await asyncio.sleep(0.1)\n"
        "await p.stop(0)\n"
        "len(before), len(said_at)",
    )
    lab.run(1)
    lab.run(2)
    expect(lab.cell(2).get_by_role("status")).to_have_text("1 running, 0 ended")
    lab.run(3)
    expect(lab.output(3).last).to_have_text("(1, 1)", timeout=60_000)
