"""The card of many commands in a real JupyterLab: a bar, what runs and what failed, Stop all, and what stays."""

import re

from playwright.sync_api import expect

from .test_states import AXE

ANY = re.compile(".*")

BODY = (
    '[ {item} != 1 ] || { echo "no <b>such</b> sample" >&2; exit 3; }\n'
    "[ {item} -gt 2 ] || exit 0\n"
    "echo reading {item}; while [ ! -e go ]; do sleep 0.05; done; [ {item} -lt 5 ] || sleep 600"
)


def test_the_bar_the_rows_and_the_buttons(notebook, picture):
    lab = notebook("items = range(9)", f"%%aproc --each items --jobs 3 --no-raise-error\n{BODY}", "print('after')")
    lab.run(1)
    lab.expect_done(1)
    lab.run(2)
    card = lab.cell(2).locator(".ipyproc-jobs")
    rows = card.get_by_role("listitem")
    expect(card.locator(".ipyproc-jobs-sentence")).to_have_text(re.compile(r"^2 of 9 done · 1 failed · 3 running · "))
    expect(rows.locator(".ipyproc-jobs-name")).to_have_text(["1", "3", "4", "5", *[re.compile("^[02]$")] * 2])
    expect(rows.locator(".ipyproc-jobs-what")).to_have_text(
        ["exited with status 3: no <b>such</b> sample", "reading 3", "reading 4", "reading 5", "", ""]
    )
    expect(card.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "2")
    picture("jobs-running")
    lab.page.evaluate(AXE)
    assert lab.page.evaluate("axe.run('.ipyproc-jobs').then((found) => found.violations.map((each) => each.id))") == []
    (lab.server.root / "go").touch()
    expect(rows.locator(".ipyproc-jobs-what")).to_have_text(
        ["exited with status 3: no <b>such</b> sample", "reading 5", "reading 6", "reading 7", *(ANY,) * 4]
    )
    card.get_by_role("button", name="Stop all").press("Enter")
    lab.expect_done(2)
    output = lab.output(2).first
    expect(output).to_contain_text(re.compile(r"^4 of 9 done · 4 failed · "))
    expect(output).to_contain_text("✘ 5  was ended by SIGTERM")
    expect(card).to_have_count(0)
    picture("jobs-ended")
    (lab.server.root / "go").unlink()
    saved = lab.save()
    assert "widgets" not in saved["metadata"]


def test_a_batch_of_ones_own(notebook, picture):
    trap = "trap '' TERM; echo deaf; while true; do sleep 0.1; done"
    lab = notebook(f"import ipyproc\nawait ipyproc.parallel([['sh', '-c', {trap!r}]] * 9, jobs=2)")
    lab.run(1)
    card = lab.cell(1).locator(".ipyproc-jobs")
    expect(card.locator(".ipyproc-jobs-what")).to_have_text(["deaf", "deaf"])
    card.get_by_role("button", name="Stop all").click()
    expect(card.get_by_role("button", name="Stopping…")).to_be_disabled()
    picture("jobs-stopping")
    card.get_by_role("button", name="Kill all").click()
    lab.expect_done(1)
    expect(lab.output(1).last).to_contain_text("ProcessStopped")
    expect(lab.output(1).last).to_contain_text("SIGKILL")


def test_a_page_that_is_loaded_anew_shows_the_end(notebook, picture):
    lab = notebook("items = ['one']\n", "%%aproc --each items\necho there; while [ ! -e again ]; do sleep 0.05; done")
    lab.run(1)
    lab.run(2)
    card = lab.cell(2).locator(".ipyproc-jobs")
    expect(card.locator(".ipyproc-jobs-what")).to_have_text("there")
    lab.save()
    lab.page.reload()
    expect(card.locator(".ipyproc-jobs-what")).to_have_text("there")
    (lab.server.root / "again").touch()
    expect(card.locator(".ipyproc-jobs-sentence")).to_have_text(re.compile("^1 of 1 done"))
    expect(card.locator(".ipyproc-jobs-top").get_by_role("button")).to_have_count(0)
    card.get_by_role("button").click()
    expect(card.get_by_role("log")).to_contain_text("there")
    picture("jobs-reloaded")


def test_each_row_opens_to_its_output(notebook, page, picture):
    body = "[ {item} != 1 ] || { echo why >&2; exit 3; }\nseq 500; while [ {item} = 2 -a ! -e on ]; do sleep 0.05; done"
    lab = notebook("items = range(3)", f"%%aproc --each items --jobs 1 --no-raise-error\n{body}")
    lab.run(1)
    lab.expect_done(1)
    lab.run(2)
    jobs = lab.cell(2).locator(".ipyproc-jobs")
    rows = jobs.get_by_role("listitem")
    expect(rows.locator(".ipyproc-jobs-name")).to_have_text(["1", "2", "0"])
    done = rows.nth(2).get_by_role("button").first
    expect(done).to_have_attribute("aria-expanded", "false")
    done.press("Enter")
    expect(done).to_have_attribute("aria-expanded", "true")
    expect(rows.nth(2).get_by_role("status")).to_have_text("Done, exit 0")
    expect(rows.nth(2).get_by_role("log")).to_contain_text("500")
    rows.nth(1).get_by_role("button").first.click()
    expect(rows.nth(1).locator(".ipyproc-card").get_by_role("status")).to_have_text("Running")
    picture("jobs-opened")
    page.evaluate(AXE)
    assert page.evaluate("axe.run('.ipyproc-jobs').then((found) => found.violations.map((each) => each.id))") == []
    done.click()
    expect(jobs.locator(".ipyproc-card")).to_have_count(1)
    done.click()
    (lab.server.root / "on").touch()
    lab.expect_done(2)
    (lab.server.root / "on").unlink()

    saved = lab.output(2).locator(".ipyproc-progress")
    expect(saved).to_contain_text(re.compile("^2 of 3 done · 1 failed"))
    saved.get_by_role("link", name=re.compile("^Open the viewer")).click()
    expect(saved).to_be_hidden()
    expect(rows.locator(".ipyproc-jobs-name")).to_have_text(["1", "0", "2"])
    expect(jobs.locator(".ipyproc-jobs-top").get_by_role("button")).to_have_count(0)
    rows.nth(1).get_by_role("button").first.click()
    expect(rows.nth(1).get_by_role("log")).to_contain_text("500")
    picture("jobs-opened-again")
    page.keyboard.press("x")  # in JupyterLab it would cut the cell
    lab.output(2).get_by_role("button", name="Close the viewer").click()
    expect(saved).to_be_visible()
