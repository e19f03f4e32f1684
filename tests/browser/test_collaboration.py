"""Two people in one notebook, with jupyter-collaboration: each has the card, and the file has the transcript once."""

import re

from playwright.sync_api import expect

from .lab import LabPage, lab_server


def test_both_see_the_card_and_either_stops_it(tmp_path, browser):
    with lab_server(tmp_path, collaborates=True) as server:
        path = server.write(
            "both.ipynb", ["%load_ext ipyproc", "%aproc --name job sh -c 'echo started; exec sleep 600'"]
        )
        people = [LabPage(server, browser.new_context().new_page(), path).open() for _ in range(2)]
        one, other = people
        for each in people:  # as the command "Trust Notebook" does; else the other page shows the text of a widget
            each.value("for (const cell of jupyterapp.shell.currentWidget.content.model.cells) cell.trusted = true")
        one.run(0)
        one.expect_done(0)
        one.run(1)
        for each in people:
            expect(each.cards.get_by_role("log")).to_contain_text("started")
        other.cards.get_by_role("button", name=re.compile("^Stop")).click()
        for each in people:
            each.expect_done(1)
            expect(each.output(1).first).to_contain_text("Stopped (SIGTERM)")
            expect(each.cards).to_have_count(0)
        outputs = one.save()["cells"][1]["outputs"]
        kept = [each["data"]["text/plain"] for each in outputs if "text/html" in each.get("data", {})]
        assert ["".join(text).count("started") for text in kept] == [1]
        for each in people:
            each.page.context.close()
