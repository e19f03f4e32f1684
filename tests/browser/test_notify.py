"""`--notify` in a real page: the browser's own notification, its permission, the title of a tab that nobody sees."""

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.new_page

RECORD = """
window.told = [];
const Real = Notification;
window.Notification = class extends Real { constructor(title, options) { super(title, options); told.push([title, options.body]); } };
"""
HIDE = (
    "Object.defineProperty(document, 'hidden', {{ value: {}, configurable: true }}); "
    "document.dispatchEvent(new Event('visibilitychange'))"
)


def test_the_browser_tells_of_the_end(notebook, page, server):
    page.context.grant_permissions(["notifications"], origin=server.url)
    page.add_init_script(RECORD)
    lab = notebook("%%aproc --notify --name 'a <b>long</b> run'\necho x; read -r _ < go; exit 3", "!mkfifo go")
    lab.run(2)
    lab.expect_done(2)
    lab.run(1)
    expect(lab.cards.get_by_role("log")).to_contain_text("x")
    expect(lab.cards.locator(".ipyproc-note")).to_have_text("")
    title = page.title()
    page.evaluate(HIDE.format("true"))
    (server.root / "go").write_text("\n")
    lab.expect_done(1)
    [[words, body]] = page.evaluate("told")
    assert words.startswith("Failed, exit 3 · ") and body == "a <b>long</b> run"
    assert page.title() == f"{words} · {title}"
    page.evaluate(HIDE.format("false"))
    assert page.title() == title


def test_a_browser_that_does_not_allow_it(notebook, page):
    page.add_init_script("window.asked = 0; Notification.requestPermission = async () => { asked += 1 }")
    page.add_init_script("Object.defineProperty(Notification, 'permission', { value: 'default' })")
    lab = notebook("%aproc --bg sleep 600", "%%aproc --bg --notify\necho x; sleep 600")
    lab.run(1)
    expect(lab.cards).to_have_count(1)
    expect(lab.cards).to_have_attribute("data-state", "running")
    assert page.evaluate("asked") == 0
    lab.run(2)
    expect(lab.cards.locator(".ipyproc-note")).to_have_text(["", "no notification: the browser does not allow it"])
    assert page.evaluate("asked") == 1
