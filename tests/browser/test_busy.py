"""Stop always answers: while a synchronous cell keeps the kernel busy, and in a cell that waits synchronously."""

import re
import time

import ipykernel
import psutil
import pytest
from playwright.sync_api import expect

STOP = re.compile("^Stop")
BUSY = "import os\nwhile not os.path.exists('end'):\n    for _ in range(1_000_000): pass"


@pytest.mark.skipif(ipykernel.version_info < (7, 4), reason="ipykernel 6 hears nothing")
def test_stop_and_kill_while_the_kernel_is_busy(notebook, server, picture):
    lab = notebook(
        "%%aproc --bg --name gentle\necho ready; exec sleep 600",
        "%%aproc --bg --name stubborn --grace 60\ntrap '' TERM; echo ready; exec sleep 600",
        BUSY,
    )
    cards, pids = [], []
    for number in (1, 2):
        lab.run(number)
        cards.append(lab.cell(number).locator(".ipyproc-card"))
        expect(cards[-1].get_by_role("log")).to_contain_text("ready")
        pids.append(int(cards[-1].locator(".ipyproc-counts").inner_text().rpartition("pid ")[2]))
    lab.run(3)
    expect(lab.cell(3).locator(".jp-InputPrompt")).to_have_text("[*]:")
    gentle, stubborn = map(psutil.Process, pids)

    clicked = time.monotonic()
    cards[0].get_by_role("button", name=STOP).click()
    psutil.wait_procs([gentle], timeout=30)
    print(f"click to the end of the program: {(time.monotonic() - clicked) * 1000:.0f} ms")
    expect(cards[0].get_by_role("status")).to_have_text(
        re.compile(r"Stopping \(SIGTERM sent \d s ago, else SIGKILL in \d s\)")
    )
    assert not gentle.is_running()

    cards[1].get_by_role("button", name=STOP).click()
    expect(cards[1].get_by_role("status")).to_have_text(re.compile(r"Stopping \(SIGTERM sent \d s ago"))
    expect(cards[1].get_by_role("button", name=STOP)).to_be_disabled()
    picture("busy-stopping")
    assert stubborn.is_running()
    cards[1].get_by_role("button", name=re.compile("^Kill")).click()
    psutil.wait_procs([stubborn], timeout=30)
    expect(cards[1].get_by_role("status")).to_have_text(re.compile(r"Stopping \(SIGKILL sent \d s ago\)"))
    assert not stubborn.is_running()

    expect(lab.cell(3).locator(".jp-InputPrompt")).to_have_text("[*]:")
    (server.root / "end").touch()
    lab.expect_done(3)
    (server.root / "end").unlink()
    expect(lab.output(1)).to_contain_text("Stopped (SIGTERM)")
    expect(lab.output(2)).to_contain_text("Stopped (SIGKILL)")
    expect(lab.cards).to_have_count(0)
    picture("busy-stopped")


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("time", "%%time\n%aproc --no-raise-error {program}"),
        ("def", "def run():\n    %aproc --no-raise-error {program}\nrun()"),
    ],
)
def test_a_cell_that_waits_synchronously_has_its_card(notebook, picture, program, name, code):
    lab = notebook(f"program = {program('lines', 100_000, 'out', 'the end', 'stall')!r}", code, "1 + 1")
    lab.run(1)
    lab.run(2)
    card = lab.cell(2).locator(".ipyproc-card")
    log = card.get_by_role("log")
    expect(log).to_contain_text("the end")
    lab.run(3)
    log.focus()
    lab.page.keyboard.press("Home")
    expect(log).to_contain_text("line 3")
    lab.page.keyboard.press("Control+f")
    lab.page.keyboard.type("line 77777")
    expect(log).to_contain_text("line 77778")
    picture(f"synchronous-{name}")
    card.get_by_role("button", name=STOP).click()
    lab.expect_done(3)
    expect(lab.output(2).first).to_contain_text("Stopped (SIGTERM)")
    expect(lab.output(3)).to_have_text("2")
    expect(lab.cards).to_have_count(0)
    assert not lab.save()["metadata"].get("widgets")
