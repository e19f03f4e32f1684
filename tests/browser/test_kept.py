"""A click on a saved transcript opens the viewer in its place, another one closes it; without the kernel it does not pretend."""

import re

from playwright.sync_api import expect


def test_the_end_keeps_its_tools(notebook, page, picture, program):
    lab = notebook(
        f"import sys; program = {program('lines', '20000', 'sleep', '0.5')!r}",
        "%aproc {program}",
        "print('later')",
    )
    lab.run(1)
    lab.run(2)
    lab.expect_done(2)
    saved = lab.output(2).locator(".ipyproc-transcript")
    expect(saved).to_contain_text(re.compile(r"[\d,]+ of 20,000 lines shown"))
    expect(saved).to_contain_text(re.compile(r"20,000 lines · 209 kB · [\d,]+ shown"))
    picture("kept-saved")
    saved.get_by_role("link", name=re.compile("^Open the viewer")).click()
    card = lab.output(2).locator(".ipyproc-card")
    expect(card.get_by_role("status")).to_have_text("Done, exit 0")
    expect(card.get_by_role("log")).to_contain_text("line 19999")
    expect(saved).to_be_hidden()
    card.get_by_role("button", name=re.compile("^Find")).click()
    page.keyboard.type(":9001")
    page.keyboard.press("Enter")
    expect(card.get_by_role("log")).to_contain_text("line 9000")
    picture("kept-open")
    assert "#ipyproc" not in page.url
    lab.output(2).get_by_role("button", name="Close the viewer").click()
    expect(card).to_have_count(0)
    expect(saved).to_be_visible()
    text = str(lab.save())
    assert "ipyproc-transcript" in text and "Open the viewer here" in text and "Close the viewer" not in text

    page.reload()
    lab.open()
    saved = lab.output(2).locator(".ipyproc-transcript")
    saved.get_by_role("link", name=re.compile("^Open the viewer")).press("Enter")
    expect(lab.output(2).locator(".ipyproc-card").get_by_role("log")).to_contain_text("line 19999")


def test_without_its_kernel_it_does_not_pretend(notebook, page, program):
    lab = notebook("%aproc sh -c 'echo why; exit 3'", "%unload_ext ipyproc")
    lab.run(1)
    lab.expect_done(1)
    link = lab.output(1).locator("a[href^='#ipyproc-']").first
    expect(link).to_be_visible()
    lab.run(2)
    lab.expect_done(2)
    expect(link).to_be_hidden()
    expect(lab.output(1).first).to_contain_text("Failed, exit 3")
