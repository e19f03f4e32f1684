"""`dev.py`: pip from a package index, where Python cannot bring it; and what it says of tests that were skipped."""

import base64
import contextlib
import hashlib
import http.server
import io
import os
import signal
import subprocess
import sys
import textwrap
import threading
import zipfile

import pytest

import dev

HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"
PIP = "import pathlib, sys; pathlib.Path(sys.prefix, 'said').write_text(' '.join(sys.argv))"  # for pip's own part


def wheel():
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr("pip/__main__.py", PIP)
    return content.getvalue()


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A package index at whose door one must say who one is; what it has may be changed."""
    pages = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            is_known = self.headers["Authorization"] == f"Basic {base64.b64encode(b'me:p@ss').decode()}"
            content = pages.get(self.path)
            self.send_response(401 if not is_known else 404 if content is None else 200)
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *_):
            pass

    for name in [name for name in os.environ if name.startswith(("PIP_", "XDG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        (tmp_path / ".config" / "pip").mkdir(parents=True)
        host = f"127.0.0.1:{server.server_port}"
        (tmp_path / ".config" / "pip" / "pip.conf").write_text(
            f"[global]\nindex-url = http://me:p%40ss@{host}/simple/\n"
        )
        yield pages
        server.shutdown()


@pytest.fixture
def python(tmp_path):
    """This Python, as Debian has it: `venv` brings no pip into an environment."""
    file = tmp_path / "python"
    refusal = 'case "$*" in *--without-pip*) ;; *venv*) echo ensurepip is not available; exit 1;; esac'
    file.write_text(f'#!/bin/sh\n{refusal}\nexec {sys.executable} "$@"\n')
    file.chmod(0o755)
    return str(file)


def test_pip_comes_from_the_index_of_pips_own_configuration(index, python, tmp_path):
    """The newest that may be used, whatever else is there; nothing that is not what the index says it is."""
    digest = hashlib.sha256(wheel()).hexdigest()
    links = (
        ("pip-9.0.3-py2.py3-none-any.whl", ""),
        ("pip-26.1-py3-none-any.whl", 'data-requires-python="&gt;=3.9"'),
        ("pip-26.10-py3-none-any.whl", 'data-requires-python=">=3.11"'),
        ("pip-26.11-py3-none-any.whl", "data-yanked"),
        ("pip-26.12-py3-none-any.whl", 'data-requires-python=">=3.99"'),
        ("pip-27.0b1-py3-none-any.whl", ""),
        ("pip-28.0.tar.gz", ""),
    )
    page = "".join(f'<a href="../../files/{name}#sha256={digest}" {more}>{name}</a>' for name, more in links)
    index["/simple/pip/"] = page.encode()
    index["/files/pip-26.10-py3-none-any.whl"] = wheel()
    dev.make_environment(tmp_path / "made", python)
    command, *words = (tmp_path / "made" / "said").read_text().split()
    assert command.endswith("/pip-26.10-py3-none-any.whl/pip")
    assert words == ["install", "--no-index", command.removesuffix("/pip")]


@pytest.mark.parametrize(
    ("page", "said"),
    [
        (None, "HTTP Error 404"),
        ("<a href='pip-26.1-py3-none-any.whl'>without a digest</a>", f"there is no wheel of pip for Python {HERE}"),
        (
            "<a href='pip-26.1-py3-none-any.whl#sha256=00'>another</a>",
            "pip-26.1-py3-none-any.whl: the SHA-256 is not 00",
        ),
    ],
)
def test_without_pip_nothing_is_left_and_the_package_is_named(index, python, tmp_path, page, said):
    if page:
        index["/simple/pip/"] = page.encode()
        index["/simple/pip/pip-26.1-py3-none-any.whl"] = wheel()
    with pytest.raises(SystemExit) as caught:
        dev.make_environment(tmp_path / "made", python)
    assert said in str(caught.value) and f"install the package python{HERE}-venv" in str(caught.value)
    assert not (tmp_path / "made").exists()


def test_options_of_pip(index, monkeypatch, tmp_path):
    assert dev.pip_option("index-url").endswith("/simple/") and dev.pip_option("no-such-option") is None
    (tmp_path / "own").write_text("[install]\nindex-url = https://install\n[global]\nindex-url = https://global\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "own"))
    assert dev.pip_option("index-url") == "https://install"
    monkeypatch.setenv("PIP_INDEX_URL", "https://variable")
    assert dev.pip_option("index-url") == "https://variable"


def test_all_runs_share_the_places_and_what_was_skipped_is_told(tmp_path, monkeypatch, capfdbinary):
    monkeypatch.setattr(dev, "AT_ONCE", 1)
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    test = """
        import os, pathlib, pytest, sys
        HERE = pathlib.Path(__file__).parent

        @pytest.mark.parametrize("number", range(20))
        def test_alone(number):
            (HERE / "busy").mkdir()  # fails while another one is there
            (HERE / "busy").rmdir()

        def test_what_is_compiled_is_kept():
            assert not sys.dont_write_bytecode

        @pytest.mark.needs("sh", "no-such-program")
        def test_with_a_program():
            assert False
    """
    for name in ("conftest.py", "__init__.py", "played.py"):
        (tmp_path / name).write_bytes((dev.ROOT / "tests" / name).read_bytes())
    (tmp_path / "test_it.py").write_text(textwrap.dedent(test))
    (tmp_path / "other").symlink_to(sys.prefix)
    folders = [dev.Path(sys.prefix), tmp_path / "other"]
    results = dev.pytest({folder: [f"{tmp_path}/test_it.py", "-pno:cacheprovider"] for folder in folders})
    assert results == dict.fromkeys(folders, dev.Result(0, ["needs no-such-program"], []))
    assert capfdbinary.readouterr().out.count(b"21 passed, 1 skipped") == 2


@pytest.mark.parametrize(
    ("runs", "code", "said"),
    [
        (1, 0, "failed beside other tests in {} and passed alone: test_it.py::test_late[a-b.c]"),
        (9, 1, "again and alone, in {}: test_it.py::test_late[a-b.c] test_it.py::Test::test_it test_it.py::test_setup"),
    ],
    ids=["passes alone", "fails alone too"],
)
def test_what_failed_beside_others_is_run_again_alone(tmp_path, monkeypatch, capfd, runs, code, said):
    monkeypatch.setattr(dev, "ROOT", tmp_path)
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    test = f"""
        import pathlib, pytest
        HERE = pathlib.Path(__file__).parent

        def late(name):
            with open(HERE / name, "a") as file:
                file.write("x")
                assert file.tell() > {runs}

        @pytest.mark.parametrize("word", ["a-b.c"])
        def test_late(word):
            late(word)

        class Test:
            def test_it(self):
                late("it")

        @pytest.fixture
        def broken():
            late("broken")

        def test_setup(broken):
            pass

        def test_good():
            pass
    """
    (tmp_path / "test_it.py").write_text(textwrap.dedent(test))
    folder = dev.Path(sys.prefix)
    result = dev.pytest({folder: ["test_it.py"]})[folder]
    assert (result.code, len(result.failed)) == (1, 3)
    assert dev.again(folder, result) == code
    assert said.format(folder.name) in capfd.readouterr().out
    for kept in (result._replace(code=2), result._replace(failed=[*result.failed, "another", "more", "too many"])):
        assert dev.again(folder, kept) == kept.code
    assert "again and alone" not in capfd.readouterr().out


def test_an_interrupt_waits_for_the_runs_to_clean_up(tmp_path):
    """As Ctrl-C in a terminal, which all processes get."""
    test = f"""
        import pathlib, threading
        HERE = pathlib.Path({str(tmp_path)!r})

        def test_long():
            try:
                (HERE / "ready").touch()
                threading.Event().wait()
            finally:
                while not (HERE / "go").exists():
                    pass
                (HERE / "clean").touch()
    """
    (tmp_path / "test_it.py").write_text(textwrap.dedent(test))
    script = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # we may be one who ignores it
        f"import dev; dev.pytest({{dev.Path(sys.prefix): [{str(tmp_path)!r}]}})"
    )
    words = [sys.executable, "-c", script]
    with subprocess.Popen(words, cwd=dev.ROOT, start_new_session=True, stderr=subprocess.PIPE) as running:
        try:
            while not (tmp_path / "ready").exists():
                assert running.poll() is None
            os.killpg(running.pid, signal.SIGINT)
            with pytest.raises(subprocess.TimeoutExpired):
                running.wait(1)
            (tmp_path / "go").touch()
            assert b"KeyboardInterrupt" in running.communicate(timeout=60)[1]
            assert (tmp_path / "clean").exists()
        finally:
            (tmp_path / "go").touch()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)
