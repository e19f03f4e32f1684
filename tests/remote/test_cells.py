"""`%%aproc --on NAME` in a real kernel: the same cell, card, errors and buttons, and the card says where it runs."""

import pytest

from ..jupyter.kernel_session import kernel_session


@pytest.fixture(scope="module")
def kernel():
    """One for this module alone: what Dask starts in it stays there."""
    with kernel_session() as session:
        yield session


@pytest.fixture
def box(kernel, sshd):
    """A kernel that knows the sshd as `box`, and cluster as `cluster`."""
    kernel.run(f"import ipyproc; ipyproc.launchers['box'] = ipyproc.SSHLauncher(**{sshd!r})")
    return kernel


def test_a_script_there(box, cluster):
    box.run(f"ipyproc.launchers['grid'] = {cluster!r}")
    for name in ("box", "grid"):
        done = box.run(f"%%aproc --on {name} --out text --env Y=7\necho $Y; echo $0\nfalse\necho no")
        assert done.error.startswith("ProcessExitError: line 2: `false` exited with 1")
        assert eval(box.run("text").value).splitlines() == ["7", "bash"]
        done = box.run(f"x = %aproc --on {name} cat /proc/self/comm")
        assert done.status == "ok", done.error
        assert box.run("x.stdout").value == "'cat\\n'"
        done = box.run(f"%aproc --on {name} no-such-program-there")
        assert "FileNotFoundError" in done.error and "no such program on" in done.error
        done = box.run(f"%%aproc --on {name} --shell fish-there --no-strict\ntrue")
        assert "FileNotFoundError" in done.error and "no such program on" in done.error, "not looked for here"


def test_the_card_says_where_and_its_buttons_work(box, cluster):
    box.run(f"ipyproc.launchers['grid'] = {cluster!r}")
    for name in ("box", "grid"):
        done = box.run(f"%%aproc --on {name} --bg --proc p\necho begun; sleep 60 & sleep 60")
        assert done.status == "ok", done.error
        box.run("import asyncio\nwhile p.log.bytes < 6: await asyncio.sleep(0.01)")
        assert box.run("p.where in repr(p) and p.where != ''").value == "True"
        assert "127.0.0.1" in box.run("print([each.where for each in ipyproc.processes()])").text()
        assert "127.0.0.1" in box.run("%aprocs list").text()
        assert box.run("await p.stop()").value == "-15"
    done = box.run("%%aproc --on box\nsleep 0.5; echo done")
    assert any("on " in data["text/plain"] and "127.0.0.1" in data["text/plain"] for data in done.displays), (
        done.displays
    )


def test_what_cannot_go_there_is_refused_before_anything_starts(box):
    for line, said in (
        ("--on bxo true", "did you mean box?"),
        ("--on box --keep true", "--keep cannot go with --on"),
        ("--on box --venv x true", "--venv cannot go with --on"),
        ("--retry-lost 2 true", "--retry-lost goes with --on"),
        ("--on box --retry-lost x true", "--retry-lost"),
        ("--on tcp://box true", "allowed is tcp://HOST:PORT"),
    ):
        done = box.run(f"%aproc {line}")
        assert "UsageError" in str(done.messages) and said in str(done.messages), (
            line,
            done.error,
            done.text("stderr"),
        )
    assert box.run("ipyproc.processes()").value == "[]"


def test_names_of_the_configuration(box, cluster):
    box.run(f"%config AProcMagics.launchers = {{'configured': {cluster!r}}}")
    assert "here" in box.run("%aproc --on configured echo here").text()
    assert box.run("(await ipyproc.run('echo', 'there', on='configured')).stdout").value == r"'there\n'"
    box.run("%config AProcMagics.launchers = {}")
    assert "there is no such place" in str(box.run("%aproc --on configured true").messages)
    assert box.run("'configured' in ipyproc.launchers, 'box' in ipyproc.launchers").value == "(False, True)"


def test_each_over_a_cluster_says_where(box, cluster):
    box.run(f"ipyproc.launchers['grid'] = {cluster!r}\nitems = [1, 2, 3]")
    done = box.run("%%aproc --on grid --each items --out texts\nsleep 0.3; echo {item}")
    assert done.status == "ok", done.error
    assert box.run("texts").value == repr(["1\n", "2\n", "3\n"])
    assert any("tcp://127.0.0.1" in data["text/plain"] for data in done.displays)


def test_an_interrupt_while_it_waits_for_a_slot(box, cluster):
    box.run(f"ipyproc.launchers['none'] = ipyproc.DaskLauncher({cluster!r}, resources={{'GPU': 1}})")

    done = box.run("%aproc --on none true", on_message=box.interrupt_when("waiting for a free slot on dask"))
    assert "KeyboardInterrupt" in done.error and "was not started" in done.error


def test_beside_a_client_of_the_users_own(box, cluster):
    done = box.run(
        f"from distributed import Client\nclient = Client({cluster!r})\n"  # it has a loop in a thread of its own
        "x = await ipyproc.run('echo', 'hi', on=client)\nprint(x.stdout, client.submit(sum, [1, 2]).result())"
    )
    assert "hi\n 3" in done.text(), done.error
    done = box.run(
        f"client.close()\nclient = await Client({cluster!r}, asynchronous=True)\n"
        + "x = await ipyproc.run('echo', 'hi', on=client)\nprint(x.stdout, await client.submit(sum, [1, 2]))"
    )
    assert "hi\n 3" in done.text(), done.error
    done = box.run("%aproc --on client echo here")
    assert "here" in done.text(), done.error
    done = box.run("await client.close()\nawait ipyproc.run('true', on=client)")
    assert "ConnectionError" in done.error and "the Client was closed" in done.error


def test_an_interrupt_ends_its_program_and_not_the_cluster(box):
    done = box.run(
        "%aproc --on dask --proc p sh -c 'echo $((40 + 2))x; exec sleep 60'", on_message=box.interrupt_when("42x")
    )
    assert "KeyboardInterrupt" in done.error and "SIGINT" in done.error
    assert box.run("p.returncode, p.lost").value == "(-2, None)"
    first = box.run("x = %aproc --on dask echo again\nx.stdout").value
    assert first == r"'again\n'"
