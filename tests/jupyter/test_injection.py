"""A value in a line or in a body reaches the program as it is, and nothing in it is executed."""

import re

import pytest

from ..hostile import VALUES

pytestmark = pytest.mark.pure


@pytest.fixture
def place(kernel, tmp_path):
    """The kernel's working directory: empty, and so it must stay."""
    kernel.run(f"import os; os.chdir({str(tmp_path)!r})")
    yield tmp_path
    kernel.run("os.chdir('/')")
    assert not list(tmp_path.iterdir()), "something was executed"


@pytest.fixture(params=VALUES.values(), ids=VALUES)
def value(kernel, request):
    kernel.run(f"value = {request.param!r}")
    return request.param


def refused(done, value):
    """Whether the value is one that no program can get as an argument, and the error says so."""
    if "\0" in value:
        assert done.error.startswith("ValueError: ") and "NUL" in done.error
    elif len(value) > 131_071:
        assert re.match(
            r"OSError: \[Errno 7\] (argument \d|the environment variable X) is too long: 1[\d,]+ bytes, and", done.error
        )
    else:
        assert done.status == "ok", done.error
        return False
    return True


@pytest.mark.usefixtures("place")
def test_a_value_in_a_line_is_one_argument(kernel, value):
    done = kernel.run("%aproc --out got {program} args {value} a{value} --a={value} '{value}' {{value}}")
    if not refused(done, value):
        expected = [value, f"a{value}", f"--a={value}", value, "{value}"]
        assert kernel.json("__import__('json').loads(got)") == expected


@pytest.mark.usefixtures("place")
def test_a_value_in_a_script_is_one_word(kernel, value):
    done = kernel.run(
        """%%aproc --expand --proc p\nprintf '<%s>' {value} a{value}b "x"{value}; echo {value} > /dev/null"""
    )
    if "\0" in value:
        assert done.error == "UsageError: {value} holds a NUL character; no shell can read that"
    else:
        assert done.status == "ok", done.error
        assert kernel.json("p.log.read().decode()") == f"<{value}><a{value}b><x{value}>"


@pytest.mark.usefixtures("place")
def test_a_value_in_the_input_of_a_program_is_itself(kernel, value):
    assert kernel.run("%%aproc --expand --proc p cat\n<{value}>").status == "ok"
    assert kernel.json("p.log.read().decode()") == f"<{value}>\n"


@pytest.mark.usefixtures("place")
def test_a_value_in_an_option_is_its_value(kernel, value):
    done = kernel.run("%aproc --env X={value} --name {value} --out got {program} env X")
    if not refused(done, value):
        assert kernel.json("got") == f"{value}\n"


def test_bytes_of_no_encoding_arrive(kernel):
    kernel.run("raw = b'\\xff\\xfe'")
    for code in ("%aproc --proc p printf %s {raw}", "%%aproc --expand --proc p\nprintf %s {raw}"):
        assert kernel.run(code).status == "ok"
        assert kernel.run("p.log.read()").value == "b'\\xff\\xfe'"
    assert kernel.run("%%aproc --expand --proc p cat\n{raw}").status == "ok"
    assert kernel.run("p.log.read()").value == "b'\\xff\\xfe\\n'"


def test_a_value_that_looks_like_an_option_is_told_of_once(kernel):
    kernel.run("value = '-n'")
    done = kernel.run("for _ in range(3):\n    %aproc echo {value} x\n    %aproc echo -- {value}")
    told = "%aproc: {value} is '-n', which looks like an option; if it is none, write -- before it\n"
    assert done.text("stderr") == told and done.text().count("x") == 3
    kernel.run("value = '-\\x1b]0;\\u202e'")
    assert kernel.run("%aproc echo {value}").text("stderr").startswith(r"%aproc: {value} is '-\x1b]0;\u202e', which")


def test_nothing_in_an_empty_list_is_no_script(kernel):
    assert kernel.run("none = []").status == kernel.run("%%aproc --expand\n{none}").status == "ok"
