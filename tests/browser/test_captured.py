"""An Output widget in a real page: it shows the text of a program, once and to its end, and cells have their cards as before."""

from playwright.sync_api import expect

WRITES = "%aproc sh -c 'echo first; sleep 1.5; echo last'"


def test_an_output_widget_shows_all_of_the_text(notebook, picture):
    lab = notebook(
        "import ipywidgets\noutput = ipywidgets.Output()\noutput",
        f"with output:\n    {WRITES}",
        "%aproc --bg --proc p sleep 600",
        f"output.clear_output()\nwith output:\n    {WRITES}",
        "await p.stop()",
        "output.clear_output()\nwith output:\n    %aproc --bg --proc q sh -c 'echo behind; sleep 600'",
        "await q.stop()",
    )
    lab.run(1)
    lab.expect_done(1)
    widget = lab.output(1).locator(".jp-OutputArea")
    lab.run(2)
    expect(widget).to_have_text("first\n", use_inner_text=True)
    lab.expect_done(2)
    expect(widget).to_have_text("first\nlast\n", use_inner_text=True)
    picture("output-widget")
    lab.run(3)
    expect(lab.cards).to_have_count(1)
    lab.run(4)
    lab.expect_done(4)
    expect(widget).to_have_text("first\nlast\n", use_inner_text=True)
    lab.run(5)
    lab.expect_done(5)
    expect(lab.cards).to_have_count(0)
    lab.run(6)
    expect(widget.locator(".ipyproc-card")).to_contain_text("behind")
    lab.run(7)
    expect(widget.locator(".ipyproc-card")).to_contain_text("Stopped (SIGTERM)")
    lab.expect_done(7)
    expect(widget.locator(".ipyproc-card")).to_contain_text("behind")
