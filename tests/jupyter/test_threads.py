"""Plain code in a thread of the user's own: the kernel may be waiting for that thread, so nothing there may wait for the kernel."""

import pytest

CARD = "%aproc sh -c 'echo first; sleep 0.4; echo last'"
THREAD = "import threading\ndef in_thread(f):\n    thread = threading.Thread(target=f)\n    thread.start()\n    return thread"


@pytest.fixture(autouse=True)
def helper(kernel):
    kernel.run(THREAD)


def streams(done):
    """What was printed. ipykernel 6 knows threads by numbers that are used again: it may label that as an earlier cell's."""
    found = [each["content"] for each in (*done.messages, *done.strays) if each["msg_type"] == "stream"]
    return [(content["name"], content["text"]) for content in found]


def said(done, stream=None):
    return "".join(text for name, text in streams(done) if stream in (None, name))


def test_a_pool_of_threads_that_the_cell_waits_for(fresh_kernel):
    done = fresh_kernel.run(
        "from concurrent.futures import ThreadPoolExecutor\n"
        "def f(i):\n    x = %aproc --quiet sh -c 'echo {i}; echo e >&2'\n    return x.stdout, x.stderr\n"
        "with ThreadPoolExecutor(8) as pool: found = list(pool.map(f, range(60)))\n"
        "found == [(f'{i}\\n', 'e\\n') for i in range(60)]"
    )
    assert (done.value, done.error) == ("True", "")
    titles, *lines = fresh_kernel.run("%aprocs list").text().splitlines()
    assert len(lines) == 60 and "on" not in titles.split(), "all of them are supervised"


def test_a_thread_that_is_joined_shows_text_in_the_cell_and_cards_come_as_before(kernel):
    done = kernel.run(f"def f():\n    {CARD}\nin_thread(f).join()\nprint('end')")
    assert streams(done)[0] == ("stdout", "first\n") and said(done) == "first\nlast\nend\n"
    assert not done.displays
    assert kernel.run(CARD).cards


def test_its_output_goes_where_print_goes(kernel):
    done = kernel.run(
        "begun, go = threading.Event(), threading.Event()\n"
        "def f():\n    go.wait()\n    print('print')\n    %aproc echo program\n    begun.set()\n"
        "thread = in_thread(f)"
    )
    later = kernel.run("go.set(); begun.wait(); thread.join()")
    seen = {
        message["content"]["text"]: message["parent_header"]["msg_id"]
        for message in (*done.messages, *later.messages, *later.strays)
        if message["msg_type"] == "stream"
    }
    if len(seen) == 1:
        assert list(seen) == ["print\nprogram\n"]
    else:
        assert seen["print\n"] == seen["program\n"] in (done.request, later.request)


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("--bg sleep 60", "--bg: in a thread there is no event loop that would go on with it"),
        ("--stdin ask cat", "--stdin ask: there will be no card here to type in (no page, a captured cell, "),
        ("--notify sleep 60", "--notify: there will be no card here that could tell the browser (no page, "),
    ],
)
def test_what_cannot_be_there_is_a_clear_error(kernel, line, error):
    done = kernel.run(
        f"def f():\n    try:\n        %aproc {line}\n    except Exception as error:\n        print(type(error).__name__, error)\n"
        "in_thread(f).join()"
    )
    assert said(done).startswith(f"UsageError {error}")
    assert kernel.run("import ipyproc; ipyproc.processes()").value == "[]"


def test_a_failure_is_an_error_there(kernel):
    done = kernel.run(
        "import ipyproc\ndef f():\n    try:\n        %aproc sh -c 'echo why >&2; exit 3'\n"
        "    except ipyproc.ProcessExitError as error:\n        print(error)\nin_thread(f).join()"
    )
    assert (
        said(done, "stderr") == "why\n"
        and said(done, "stdout") == "`sh -c 'echo why >&2; exit 3'` exited with status 3\nwhy\n"
    )


def test_what_is_left_there_ends_with_it(kernel):
    done = kernel.run(
        "def f():\n    %aproc --proc p sh -c 'sleep 600 & echo on'\nin_thread(f).join()\np.family.alive()"
    )
    assert (said(done), done.value, done.error) == ("on\n", "set()", "")
    number = kernel.run("%aprocs list").text().splitlines()[1].split()[0]
    for code in (f"%aprocs wait {number}", f"def f():\n    %aprocs wait {number}\nin_thread(f).join()"):
        assert said(kernel.run(code)).startswith(f"{number}: ✔ Done, exit 0")


def test_many_commands_tell_by_lines_how_far_they_are(kernel):
    done = kernel.run(
        "def f():\n    print(len(ipyproc.parallel([['echo', 'x'], ['sleep', '1.2']]).result()))\nin_thread(f).join()"
    )
    assert not done.displays and said(done).endswith("\n2\n") and "2 of 2 done" in said(done)
    done = kernel.run(
        "names = ['a', 'b']\ndef f():\n    get_ipython().run_cell_magic('aproc', '--each names', 'echo {item}')\nin_thread(f).join()"
    )
    assert "2 of 2 done" in said(done) and not done.displays
    assert kernel.run(CARD).cards


def test_an_event_loop_of_the_threads_own(kernel):
    done = kernel.run(f"import asyncio\nasync def g():\n    {CARD}\nin_thread(lambda: asyncio.run(g())).join()")
    assert (done.text(), done.displays) == ("first\nlast\n", [])
    assert kernel.run(CARD).cards
