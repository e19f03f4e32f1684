"""`%%aproc` with a script, in a real kernel: where it runs, what it knows of itself, and how a failure is told."""

import pytest

pytestmark = pytest.mark.pure


def test_the_line_that_fails_is_in_the_error_and_in_the_header(kernel):
    done = kernel.run("%%aproc\necho begin\nsleep 0.4\n\ntest -e /tmp/nosuch.parquet\necho never")
    assert done.error == "ProcessExitError: line 4: `test -e /tmp/nosuch.parquet` exited with 1\nbegin"
    assert "✘ Failed, exit 1 · line 4: `test -e /tmp/nosuch.parquet` · 0." in done.displays[-1]["text/plain"]
    assert "<b>Failed, exit 1 · line 4: `test -e /tmp/nosuch.parquet`</b>" in done.displays[-1]["text/html"]


def test_the_stage_of_a_pipe_that_fails(kernel):
    done = kernel.run("%%aproc\nprintf 'b\\na\\n' | sort | cat |\n  awk 'END { exit 3 }' | tail -n 1")
    assert done.error == "ProcessExitError: line 2: stage 4 of 5, `awk`, exited with 3"
    done = kernel.run("%%aproc --name first\nyes | head -n 1")
    assert done.error.startswith(
        "ProcessExitError: `first`, line 1: stage 1 of 2, `yes`, exited with 141 (SIGPIPE): what read its output ended first; "
        "`set +o pipefail` above it accepts that"
    )


def test_how_else_a_script_can_end(kernel):
    assert kernel.run("%%aproc\nexit 3").error == "ProcessExitError: `exit 3` exited with status 3"
    assert kernel.run("%%aproc --no-strict\nfalse\necho on").text() == "on\n"
    done = kernel.run("%%aproc --no-strict\nset -euo pipefail\nfalse")
    assert done.error == "ProcessExitError: line 2: `false` exited with 1"
    assert kernel.run("%%aproc --ok-code 1\nfalse").status == "ok"
    done = kernel.run("x = get_ipython().run_cell_magic('aproc', '--no-raise-error', 'true\\nfalse')\nx")
    assert "exited with status 1" in done.value
    assert "Exited with status 1 · line 2: `false`" in done.of_type("execute_result")[-1]["data"]["text/html"]


@pytest.mark.parametrize("name", ["$0", "${BASH_SOURCE[0]}"])
def test_a_script_stays_where_it_is(kernel, tmp_path, name):
    done = kernel.run(f'%%aproc --cwd {tmp_path}\ncd "$(dirname "{name}")"\npwd\ntouch made')
    assert done.text() == f"{tmp_path}\n" and (tmp_path / "made").exists()


def test_a_secret_is_in_no_command_that_is_told(kernel):
    kernel.run("token = 'hush' + 'hush\\nof two lines'; short = 'hush' + 'hush'")
    for name in ("short", "token"):
        done = kernel.run(f"%%aproc --expand --secret {name}\ntrue {{{name}}}\ntest {{{name}}} = x | cat")
        assert "hushhush" not in str(done.messages) and "two lines" not in str(done.messages)
        assert "stage 1 of 2" in done.error
        done = kernel.run(f"%%aproc --expand --secret {name}\ntest {{{name}}} = x")
        assert "hushhush" not in str(done.messages) and "two lines" not in str(done.messages)
        assert done.error.startswith("ProcessExitError: line ")
    done = kernel.run("%%aproc --expand --secret short\ntest {short} = x")
    assert done.error == "ProcessExitError: line 1: `test *** = x` exited with 1"


def test_the_stream_that_tells_of_the_failure_is_quoted(kernel):
    """As with pytest: its failures are on standard output."""
    done = kernel.run(
        '%%aproc\nexec sh -c \'echo "x.py:1: DeprecationWarning: an error some day" >&2; echo "E  assert 1 == 2"; '
        'echo "=== 1 failed in 0.1s ==="; exit 1\''
    )
    assert done.error.splitlines()[1:] == ["E  assert 1 == 2", "=== 1 failed in 0.1s ==="]
    done = kernel.run("%%aproc\necho 'a stray word' >&2; sleep 0.05; echo 'row 3 is not as it was'; exit 1")
    assert done.error.splitlines()[1:] == ["a stray word", "row 3 is not as it was"]
    done = kernel.run("%%aproc\necho 'row 3'; echo 'cannot open it' >&2; sleep 0.05; echo 'row 4'; exit 1")
    assert done.error.splitlines()[1:] == ["cannot open it"]


def test_each_item_has_a_line_of_its_own(kernel):
    kernel.run("items = ['a', 'b']")
    done = kernel.run(
        "%%aproc --each items --jobs 1 --no-raise-error --out outs\necho {item}\ntest {item} = a\necho $0"
    )
    assert kernel.run("outs").value == "['a\\nbash\\n', 'b\\n']", done.error
    done = kernel.run("%%aproc --each items --jobs 1\necho {item}\ntest {item} = a")
    assert done.error.startswith("ProcessExitError: `b`, line 2: `test b = a` exited with 1\nb")
