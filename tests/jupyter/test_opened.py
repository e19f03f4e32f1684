"""The rows of many commands open to their output: while they run, when they have ended, and after the cell has."""

import re

import pytest

from .test_card import is_answer, is_tail, shown, tails
from .test_each import picture_of
from .test_kept import click, link, model

pytestmark = pytest.mark.pure

BODY = "[ {item} != 1 ] || { echo why >&2; exit 3; }\necho begun {item}; while [ {item} = 2 -a ! -e %s/go ]; do sleep 0.05; done"


def open_row(kernel, card, number, view="v"):
    """The model that the answer names."""
    kernel.comm(card, op="card", id=number, view=view, job=kernel.jobs[card])
    messages = kernel.idle_messages(lambda message: is_answer(message, "card"))
    answer = messages[-1]["content"]["data"]["content"]
    assert (answer["id"], answer["view"]) == (number, view)
    return answer["model"], messages


def output(kernel, card, messages):
    """The state of an opened card, and the last rows that it shows."""
    state = shown(messages, card)[-1]
    for operation in ("here", "ready", "shown"):
        kernel.comm(card, op=operation, job=state["job"])
    found = kernel.idle_messages(lambda message: is_tail(message, card) and tails([message], card)[-1][1])
    return state["label"], tails(found, card)[-1][1]


def test_rows_of_a_widget_open_while_they_run_and_afterwards(fresh_kernel, tmp_path):
    kernel = fresh_kernel
    body = BODY.replace("{item}", "$N") % tmp_path
    kernel.run(
        f"import ipyproc, asyncio\nbody = {body!r}\n"
        "batch = ipyproc.parallel([(f'row {n}', ['bash', '-c', f'N={n}\\n' + body]) for n in range(3)], jobs=1, "
        "on_failure='finish', check=False, progress=False)\n"
        "card = ipyproc.widget(batch)\ntask = asyncio.ensure_future(batch)"
    )
    assert kernel.eventually("[job.state for job in batch.jobs]", "['done', 'failed', 'running']")
    card = kernel.run("card.model_id").value.strip("'")
    kernel.comm(card, op="ready", job=kernel.jobs[card])
    picture = picture_of(kernel.idle_messages(lambda m: picture_of(m) and len(picture_of(m)[0]["rows"]) == 3)[-1])[0]
    assert [(row["id"], row["state"], row["what"], row["opens"]) for row in picture["rows"]] == [
        (1, "failed", "exited with status 3: why", True),
        (2, "running", "begun 2", True),
        (0, "done", "begun 0", True),
    ]
    assert output(kernel, *open_row(kernel, card, 2)) == ("Running", "1begun 2")
    done, messages = open_row(kernel, card, 0)
    assert output(kernel, done, messages) == ("Done, exit 0", "1begun 0")
    assert open_row(kernel, card, 0, "another view")[0] == done, "the same widget for another view"
    assert output(kernel, *open_row(kernel, card, 1)) == ("Failed, exit 3", "2why")
    (tmp_path / "go").touch()
    assert kernel.run("[each.returncode for each in await task]").value == "[0, 3, 0]"
    kernel.run("del batch, task")
    assert open_row(kernel, card, 2)[0], "it has ended"
    for number in (3, 10**6):
        assert open_row(kernel, card, number)[0] == "", "there is no such row"
    kernel.run("card.close()")


def test_rows_of_a_cell_open_while_it_runs_and_after_its_end(fresh_kernel, tmp_path):
    kernel = fresh_kernel
    kernel.run("items = range(3)")
    asked, answers = [], []

    def look(message):
        for picture in picture_of(message):
            if len(picture["rows"]) == 3 and not asked:
                asked.append(message["content"]["comm_id"])
                kernel.comm(asked[0], op="card", id=0, view="v", job=kernel.jobs[asked[0]])
        if is_answer(message, "card"):
            answers.append(message["content"]["data"]["content"]["model"])
            (tmp_path / "go").touch()

    done = kernel.run(f"%%aproc --each items --jobs 1 --no-raise-error\n{BODY % tmp_path}", on_message=look)
    assert answers and answers[0]
    last = done.displays[-1]
    assert re.search(r"^✔ 0  begun 0\n✔ 2  begun 2$", last["text/plain"], re.MULTILINE), last["text/plain"]
    again = click(kernel, link(done))
    card = model(again)
    state = shown(again, card)[-1]
    kernel.jobs[card] = state["job"]
    kernel.comm(card, op="ready", job=state["job"])
    picture = picture_of(kernel.idle_messages(lambda message: picture_of(message))[-1])[0]
    assert picture["over"] and [row["id"] for row in picture["rows"]] == [1, 0, 2]
    assert output(kernel, *open_row(kernel, card, 0)) == ("Done, exit 0", "1begun 0")
    kernel.comm(card, op="kill", job=state["job"])  # there is nothing that it could end
    assert kernel.run("1").value == "1"


def test_a_row_that_was_opened_stays_in_the_picture(fresh_kernel):
    kernel = fresh_kernel
    kernel.run("items = range(60)")
    opened, pictures = [], []

    def look(message):
        for picture in picture_of(message):
            done = [row["id"] for row in picture["rows"] if row["state"] == "done"]
            assert len(done) <= 11
            if done and not opened:
                opened.append(done[-1])
                card = message["content"]["comm_id"]
                kernel.comm(card, op="card", id=opened[0], view="v", job=kernel.jobs[card])
            pictures.append(done)

    done = kernel.run("%%aproc --each items --jobs 2\necho {item}; sleep 0.1", on_message=look)
    assert opened[0] in pictures[-1] and len(pictures[-1]) == 11, pictures
    text = done.displays[-1]["text/plain"].splitlines()
    assert len(text) == 12 and text[-1] == "… 50 others"


def test_nothing_is_held_when_the_extension_is_unloaded(fresh_kernel):
    kernel = fresh_kernel
    kernel.run("import ipyproc, gc\nfrom ipyproc._core.output import storage")
    logs = "gc.collect(); len([*storage.directory().glob('*.log')])"
    kernel.run("await ipyproc.parallel([['seq', '5000']] * 4); None")
    assert kernel.eventually(logs, "4"), "for a click on what is saved"
    kernel.run("%unload_ext ipyproc")
    assert kernel.eventually(logs, "0")
