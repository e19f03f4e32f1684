"""One encoding for arguments, scripts, what is typed and what programs write: that of the locale."""

import contextlib
import os
import shutil
import subprocess

import pytest

from .kernel_session import kernel_session

pytestmark = pytest.mark.pure

WORDS = {"en_US.ISO-8859-1": "café", "ja_JP.EUC-JP": "漢字"}


@contextlib.contextmanager
def kernel_in(locale, folder, **more):
    """A kernel in this locale, which is made for it."""
    if not shutil.which("localedef"):
        pytest.skip("localedef makes locales")
    name, charmap = locale.split(".")
    made = subprocess.run(["localedef", "-i", name, "-f", charmap, str(folder / locale)], capture_output=True)
    if made.returncode:
        pytest.skip(f"localedef: {made.stderr}")
    env = {name: value for name, value in os.environ.items() if name not in ("PYTHONUTF8", "PYTHONIOENCODING")}
    with kernel_session(env={**env, "LOCPATH": str(folder), "LC_ALL": locale, **more}) as session:
        session.run("import sys, os, locale")
        assert session.run("locale.setlocale(locale.LC_CTYPE)").value == repr(locale)
        yield session


@pytest.fixture(scope="module", params=WORDS)
def session(request, tmp_path_factory):
    """A kernel in this locale, and a word that it has."""
    with kernel_in(request.param, tmp_path_factory.mktemp("locales")) as made:
        yield made, WORDS[request.param]


def test_in_the_utf8_mode_of_python_it_is_utf8(tmp_path):
    with kernel_in("en_US.ISO-8859-1", tmp_path, PYTHONUTF8="1") as kernel:
        assert kernel.run("%%aproc\necho 漢").text() == kernel.run("%aproc echo 漢").text() == "漢\n"


def test_what_goes_in_comes_out(session, tmp_path):
    kernel, word = session
    assert kernel.run(f"%%aproc\necho '{word}'").text() == f"{word}\n"
    assert kernel.run(f"%aproc echo {word}").text() == f"{word}\n"
    assert kernel.run(f"%aproc --plain echo {word}").text() == f"{word}\n"
    kernel.run(f"%%aproc --out x cat\n{word}\n")
    assert kernel.run("x").value == repr(f"{word}\n")
    kernel.run(f"word = {word!r}\n%aproc --out x --env W={{word}} sh -c 'echo $W'")
    assert kernel.run("x").value == repr(f"{word}\n")
    kernel.run(f"import ipyproc; word = {word!r}; r = ipyproc.run('cat', input=word).result()")
    assert kernel.run("[r.stdout, r.log.tail(1), os.fsdecode(r.log.read())] == [word] * 3").value == "True"


def test_what_programs_write_and_names_of_files_are_in_it_too(session, tmp_path):
    kernel, word = session
    kernel.run(f"word, folder = {word!r}, {str(tmp_path)!r}; open(os.path.join(folder, word), 'w').close()")
    assert kernel.run("%aproc ls {folder}").text() == f"{word}\n"
    assert kernel.run("%aproc {sys.executable} -c 'import sys; print(sys.argv[1])' {word}").text() == f"{word}\n"


def test_bars_of_several_lines_and_what_is_found_in_them(session):
    kernel, word = session
    kernel.run(
        "from ipyproc._core.output.log import Log; from ipyproc._core.output.rows import Rows; log = Log(frozenset({1}))"
    )
    kernel.run(rf"text = 'one\ntwo\x1b[A\x1b[2K\r{word}\n\n' + '{word} x\n' * 200")
    kernel.run(r"log.write(1, os.fsencode(text) + b'\xff\n'); log.end(1)")
    kernel.run("rows = Rows(log, {1})\nwhile rows.follow(): pass")
    assert kernel.run(f"[row.plain for row in rows.read(0, 3)] == ['{word}', 'two', '{word} x']").value == "True"
    assert kernel.run(f"len([n for n in rows.find('{word}', case=False) if n is not None])").value == "201"


def test_a_character_that_it_does_not_have_is_an_error_before_anything_starts(session):
    kernel, _ = session
    for line in ("%%aproc\necho '😀'", "%%aproc cat\n😀"):
        error = kernel.run(line).error
        assert error.startswith("UsageError: %%aproc: the body of the cell: '😀' is not a character of "), error
        assert error.endswith("a kernel that is started with LC_ALL=C.UTF-8 has all characters")
    assert "is no text that a program can get: '😀' is not a character of" in kernel.run("%aproc echo 😀").error
    assert kernel.run("from ipyproc._core.output import storage; [*storage.directory().glob('*.sh')]").value == "[]"


def test_a_value_is_text_in_it(session):
    kernel, word = session
    kernel.run(f"%aproc --out x --format json echo '[\"{word}\"]'")
    assert kernel.run("x").value == repr([word])
