"""What a notebook shows of a result, and of a process that is asked to show itself."""

import asyncio

import pytest

import ipyproc


@pytest.fixture
def shown(kernel):
    """The MIME bundle of the result of this code."""
    kernel.run("import ipyproc, pickle")

    def run(code):
        done = kernel.run(code)
        assert done.status == "ok", done.error
        return done.of_type("execute_result")[-1]["data"]

    return run


def test_a_result_shows_how_it_ended_and_what_it_wrote(shown):
    data = shown(
        r"await ipyproc.run('sh', '-c', 'printf \"\033[31mred\033[0m <b>\n\"; echo why >&2; exit 3', check=False)"
    )
    assert (
        data["text/plain"].startswith("<CompletedProcess (sh -c ")
        and "exited with status 3 after" in data["text/plain"]
    )
    html = data["text/html"]
    assert "Exited with status 3" in html and "<b>why" not in html and "why" in html
    assert "red</span> &lt;b&gt;" in html and "CPU" in html and "\x1b" not in html


@pytest.mark.parametrize(
    ("code", "label"),
    [
        ("await ipyproc.run('true')", "Done, exit 0"),
        ("await ipyproc.run('sh', '-c', 'kill -9 $$', check=False)", "Was ended by SIGKILL"),
        ("await ipyproc.run('echo', 'a').pipe('tr', 'a', 'b')", "Done, exit 0"),
        ("pickle.loads(pickle.dumps(await ipyproc.run('echo', 'copied')))", "copied"),
        ("(await ipyproc.parallel([['echo', 'held'], ['true']], progress=False))[0]", "held"),
        ("(await ipyproc.parallel([['false'], ['true']], jobs=1, progress=False, check=False))[1]", "Was not run"),
    ],
)
def test_every_kind_of_result(shown, code, label):
    assert label in shown(code)["text/html"]


@pytest.mark.parametrize("copied", ["{}", "pickle.loads(pickle.dumps({}))"])
def test_a_long_result_is_cut(shown, copied):
    html = shown(copied.format("await ipyproc.run('seq', '100000')"))["text/html"]
    assert "not shown" in html and len(html) < 20_000 and ">1\n2\n3" in html


def test_a_process_shows_itself(kernel, tmp_path):
    kernel.run(f"import ipyproc; p = await ipyproc.start(*program, 'out', '<b>', 'wait', '{tmp_path}/go')")
    done = kernel.run("p.view()")
    assert len(done.cards) == 1 and "Running" in done.displays[0]["text/plain"]
    (tmp_path / "go").touch()
    transcript = kernel.idle_messages(lambda message: message["msg_type"] == "update_display_data")[-1]
    assert "&lt;b&gt;" in transcript["content"]["data"]["text/html"]
    done = kernel.run("await p.wait(); p.view()")
    assert "&lt;b&gt;" in done.displays[0]["text/html"] and "Done, exit 0" in done.displays[0]["text/plain"]


def test_view_loads_what_it_needs(fresh_kernel):
    fresh_kernel.run("%unload_ext ipyproc\nimport ipyproc\np = await ipyproc.start('sleep', '600')")
    assert len(fresh_kernel.run("p.view()").cards) == 1
    assert fresh_kernel.run("await p.stop()").value == "-15"


def test_where_there_is_no_notebook():
    async def view(**keywords):
        async with await ipyproc.start("true", **keywords) as process:
            process.view()

    with pytest.raises(RuntimeError, match="this is no notebook"):
        asyncio.run(view())
    with pytest.raises(ValueError, match="does not go to a log"):
        asyncio.run(view(stdout=ipyproc.PIPE, stderr=ipyproc.PIPE))
    done = ipyproc.run("true").result()
    assert done._repr_html_() is None
