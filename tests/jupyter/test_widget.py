"""`ipyproc.widget`: the card of a process, the progress of a batch, the table, to be put anywhere and observed."""

import gzip
from base64 import b64decode

import pytest

from .test_card import Page, is_tail

OBSERVED = "seen = []; card.observe(lambda change: seen.append(change.new), 'state')"


def test_the_traits_of_a_process_from_its_start_to_its_end(kernel):
    kernel.run(
        "import ipyproc, asyncio\np = await ipyproc.start(*program, 'out', 'a', 'err', 'b', 'wait', '/nosuch')\n"
        f"card = ipyproc.widget(p)\n{OBSERVED}"
    )
    assert kernel.eventually("card.state, card.returncode, card.lines", "('running', None, 2)")
    assert (
        kernel.run("from ipywidgets import DOMWidget; isinstance(card, DOMWidget), card.elapsed > 0").value
        == "(True, True)"
    )
    kernel.run("await p.stop(0)")
    assert kernel.eventually("card.state, card.returncode, seen[-1]", "('signaled', -9, 'signaled')")
    assert kernel.eventually("round(card.elapsed, 3) == round(p.duration, 3)", "True")
    assert "TraitError" in kernel.run("card.state = 'ok'").error
    kernel.run("card.close()")


def test_it_stays_after_the_end_until_it_is_closed_however_many_there_are(kernel):
    kernel.run("from ipyproc._jupyter.page import widget; linger, most = widget.LINGER, widget.MOST_STAYING")
    kernel.run("widget.LINGER, widget.MOST_STAYING = 0.01, 2")
    kernel.run(
        "import ipyproc\ncards = [ipyproc.widget(await ipyproc.start('echo', 'x')) for _ in range(5)]\n"
        "while not all(each.state == 'ok' for each in cards): await asyncio.sleep(0.01)\n"
        "await asyncio.sleep(0.1)"
    )
    assert kernel.run("[each.comm is None for each in cards]").value == str([False] * 5)
    kernel.run("for each in cards: each.close()\nwidget.LINGER, widget.MOST_STAYING = linger, most")
    assert kernel.run("[each.comm is None for each in cards]").value == str([True] * 5)


def test_of_a_process_that_has_ended(kernel):
    kernel.run(
        "import ipyproc\nr = await ipyproc.start('sh', '-c', 'echo a; exit 3'); await r.wait(); await r.log.finished()"
    )
    kernel.run("card = ipyproc.widget(r)")
    assert kernel.eventually("card.state, card.returncode, card.lines", "('failed', 3, 1)")
    page = Page(kernel)
    page.card = kernel.run("card.model_id").value.strip("'")
    page.send("ready")
    tail = kernel.idle_messages(lambda message: is_tail(message, page.card))[-1]
    assert b"".join(bytes(each) for each in tail["buffers"]).endswith(b"a")
    kernel.run("card.close()")


def test_of_a_batch_before_it_is_awaited(kernel):
    kernel.run(
        "import ipyproc\nbatch = ipyproc.parallel([['true'], ['false'], ['true']], jobs=1, on_failure='finish', check=False, "
        f"progress=False)\ncard = ipyproc.widget(batch)\n{OBSERVED}"
    )
    assert kernel.run("card.state, card.done, card.failed, card.elapsed").value == "('waiting', 0, 0, 0.0)"
    kernel.run("await batch")
    assert kernel.eventually("card.state, card.done, card.failed", "('failed', 2, 1)")
    assert kernel.run("seen[-1], 0 < card.elapsed < 60").value == "('failed', True)"
    kernel.run("card.close()")


def test_the_buttons_of_a_batch_stop_it(kernel):
    kernel.run(
        "import ipyproc, asyncio\nbatch = ipyproc.parallel([['sleep', '600']] * 2, check=False, progress=False)\n"
        "card = ipyproc.widget(batch)\ntask = asyncio.ensure_future(batch)"
    )
    assert kernel.eventually("card.state", "'running'")
    card = kernel.run("card.model_id").value.strip("'")
    kernel.comm(card, op="stop", job=kernel.jobs[card])
    assert kernel.run("[each.returncode for each in await task]").value == "[-15, -15]"
    assert kernel.eventually("card.state, card.failed", "('failed', 2)")
    kernel.run("card.close()")


def test_the_table_is_one(kernel):
    kernel.run("import ipyproc")
    assert (
        kernel.run("ipyproc.widget() is ipyproc.widget(), type(ipyproc.widget()).__name__").value
        == "(True, 'LiveTable')"
    )


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("ipyproc.widget('ls')", "TypeError: widget(): 'ls' cannot be shown; allowed are a Process"),
        (
            "ipyproc.widget(ipyproc.run('ls'))",
            "cannot be shown; allowed are a Process (of start()), a batch of parallel()",
        ),
        ("ipyproc.widget(await ipyproc.start('true', stdout=-1, stderr=-3))", "ValueError: "),
        (
            "import threading; found = []\n"
            "def other():\n    try: ipyproc.widget(p)\n    except RuntimeError as error: found.append(error)\n"
            "t = threading.Thread(target=other); t.start(); t.join(); raise found[0]",
            "RuntimeError: widget(): no event loop runs here",
        ),
    ],
)
def test_what_cannot_be_shown(kernel, code, error):
    kernel.run(
        "import ipyproc, warnings; warnings.simplefilter('ignore', RuntimeWarning); p = await ipyproc.start('true')"
    )
    assert error in kernel.run(code).error


def test_an_observer_that_fails_ends_nothing(kernel):
    kernel.run("import ipyproc\np = await ipyproc.start('sleep', '600')\ncard = ipyproc.widget(p)")
    kernel.run("def fail(change): raise RuntimeError('mine')\ncard.observe(fail, 'state')")
    done = kernel.run("await p.stop(0)")
    assert done.value == "-9"
    assert kernel.eventually("card.returncode", "-9")
    kernel.run("card.close()")


def test_a_process_as_the_last_expression_is_its_card_where_there_is_a_page(kernel):
    page = Page(kernel)
    kernel.run(
        "import ipyproc\np = await ipyproc.start('sleep', '600')\nq = await ipyproc.start('cat', stdin=-1, stdout=-1, stderr=-3)"
    )
    done = kernel.run("p", on_message=page)
    assert page.card and not done.of_type("execute_result")
    assert kernel.run("p", headless=True).value.startswith("<Process")
    assert kernel.run("[p]").value.startswith("[<Process")
    assert kernel.run("q").value.startswith("<Process"), "it has no log"
    kernel.run("await p.stop(0); q.kill(); await q.wait()")


def test_a_page_that_no_buffers_reach_gets_them_as_text(kernel):
    page = Page(kernel)
    kernel.run("%aproc --bg --proc b {program} out hello stall", on_message=page)
    page.send("code", as_text=True)
    code = kernel.idle_messages(lambda m: m["content"].get("data", {}).get("content", {}).get("op") == "code")[-1]
    _, style = code["content"]["data"]["content"]["base64"]
    assert not code["buffers"] and b".ipyproc-card" in gzip.decompress(b64decode(style))
    page.send("ready", as_text=True)
    tail = kernel.idle_messages(
        lambda m: (told := m["content"].get("data", {}).get("content", {})).get("op") == "tail" and told["total"]
    )[-1]
    assert (b64decode(tail["content"]["data"]["content"]["base64"][0]), tail["buffers"]) == (b"1hello", [])
    kernel.run("await b.stop(0)")
