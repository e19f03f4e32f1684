"""The card of a program on another machine: it says where, and a click stops it there."""

import re

import psutil
from playwright.sync_api import expect


def test_a_click_stops_it_there(notebook, picture):
    lab = notebook("%%aproc --on dask\nfor i in $(seq 200); do echo line $i; sleep 0.1; done")
    lab.run(1)
    card = lab.cell(1).locator(".ipyproc-card")
    expect(card).to_have_attribute("data-state", "running", timeout=60_000)  # a cluster is started first
    expect(card).to_contain_text(re.compile(r"on \S+ \(tcp://127\.0\.0\.1:\d+\)"))
    expect(card.get_by_role("log")).to_contain_text("line 12")
    pid = int(re.search(r"pid (\d+)", card.locator(".ipyproc-counts").inner_text())[1])
    assert psutil.pid_exists(pid)  # the other machine is this one
    expect(card.locator(".ipyproc-figures")).to_contain_text(re.compile(r"\d %.*B"))
    picture("card-on-dask")
    card.get_by_role("button", name=re.compile("^Stop")).click()
    lab.expect_done(1)
    expect(lab.output(1)).to_have_text(["", re.compile(r"Stopped \(SIGTERM\)"), "ProcessStopped: Stopped (SIGTERM)"])
    expect(lab.output(1).nth(1)).to_contain_text("tcp://127.0.0.1")
    picture("card-on-dask-stopped")
    psutil.wait_procs([psutil.Process(pid)] if psutil.pid_exists(pid) else [], timeout=10)
    assert not psutil.pid_exists(pid)
