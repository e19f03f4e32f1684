"""The two commands of the README; they need Python 3.11 or newer and nothing else.

python3 dev.py notebook [--execute]     open the first notebook in JupyterLab, or run it without a page
python3 dev.py test [pytest args...]    run all tests, and those of tests/core and tests/jupyter that it may change with the
                                        oldest releases too that ipyproc allows, ipykernel 6 among them

What they install goes to .venv and .venv-ipykernel6, made anew when pyproject.toml has changed; programs that tests need
are installed by apt-get, where this user may. What this machine cannot run is left out and named at the end; with CI set in
the environment, a program that is missing is a failure.
"""

from __future__ import annotations

import argparse
import configparser
import contextlib
import functools
import hashlib
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NamedTuple, NoReturn
from urllib.parse import unquote, urldefrag, urljoin, urlsplit
from urllib.request import Request, urlopen
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent
NOTEBOOK = ROOT / "notebooks" / "01_first_run.ipynb"
CELL_SECONDS = 300  # a cell that takes longer hangs
SHOWN_LINES = 4  # at the start and at the end of each cell's output
SHOWN_WIDTH = 110
AT_ONCE = (os.cpu_count() or 2) + 2  # tests of all runs; they wait for half of the time or more
SLOWEST = 20  # tests whose seconds are printed
AGAIN = 5  # at most as many tests that failed beside others are run again, alone: more are no accident
PROGRAMS = {  # what some tests need, and the Debian package that has it
    "chromium": "chromium",
    "firefox-esr": "firefox-esr",
    "sshd": "openssh-server",
    "curl": "curl",
    "xz": "xz-utils",
}
OTHER_NAMES = {"chromium": ("chromium-browser", "google-chrome")}
PYPI = "https://pypi.org/simple"


def main() -> int:
    """Run the command that the words name."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("notebook", "test"))
    command, arguments = parser.parse_args(sys.argv[1:2]).command, sys.argv[2:]
    if sys.version_info < (3, 11):  # noqa: UP036  - an older Python may well be the one that runs this file
        fail(f"this is Python {version(sys.executable)}, and Python 3.11 or newer is needed.")
    try:
        if command == "test":
            return test(arguments)
        if arguments not in ([], ["--execute"]):
            parser.error("notebook takes no argument but --execute")
        return notebook(execute=bool(arguments))
    except KeyboardInterrupt:
        return 130


def notebook(*, execute: bool) -> int:
    """Open the first notebook, or run it and print what its cells printed."""
    if not NOTEBOOK.exists():
        fail(f"{NOTEBOOK.relative_to(ROOT)} is missing.")
    folder = main_environment("--editable=.[notebooks]")
    if execute:
        return report(executed(folder))
    return opened(folder)


def opened(folder: Path) -> NoReturn:
    """JupyterLab in the place of this program, so that it alone gets the Ctrl-C."""
    words = [str(folder / "bin/python"), "-m", "jupyterlab"]
    words.append(f"--LabApp.default_url=/lab/tree/{NOTEBOOK.relative_to(ROOT)}")  # in the printed address too
    if os.geteuid() == 0:
        words.append("--allow-root")
    os.chdir(ROOT)
    os.execve(words[0], words, inside(folder))


def executed(folder: Path) -> list[dict[str, Any]]:
    """The notebook's code cells after a run; the file itself stays as it is."""
    say(f"running {NOTEBOOK.relative_to(ROOT)}")
    with tempfile.TemporaryDirectory() as place:
        done = quiet(
            *(str(folder / "bin/python"), "-m", "nbconvert", "--to=notebook", "--execute", str(NOTEBOOK)),
            *(f"--output-dir={place}", "--output=executed", "--ExecutePreprocessor.kernel_name=python3"),
            f"--ExecutePreprocessor.timeout={CELL_SECONDS}",
            env=inside(folder),
        )
        if done.returncode:
            fail(
                "the notebook failed.", done.stdout.rpartition("\nnbclient.exceptions.")[2]
            )  # not nbclient's own stack
        content = json.loads(Path(place, "executed.ipynb").read_text(encoding="utf-8"))
    return [cell for cell in content["cells"] if cell["cell_type"] == "code"]


def report(cells: list[dict[str, Any]]) -> int:
    """Print each cell's first line, and its output in short."""
    for number, cell in enumerate(cells, 1):
        print(f"[{number}]", *"".join(cell["source"]).splitlines()[:1])
        lines = [line for output in cell["outputs"] for line in output_lines(output)]
        if len(lines) > 2 * SHOWN_LINES:
            left_out = len(lines) - 2 * SHOWN_LINES
            lines = [*lines[:SHOWN_LINES], f"… {left_out} more lines", *lines[-SHOWN_LINES:]]
        for line in lines:
            print("   ", line if len(line) <= SHOWN_WIDTH else f"{line[:SHOWN_WIDTH]}…")
    say(f"all {len(cells)} code cells ran")
    return 0


def output_lines(output: dict[str, Any]) -> list[str]:
    """The lines of one output that hold text, a progress bar in its last state."""
    text = "".join(output.get("text") or output.get("data", {}).get("text/plain", ""))
    if output["output_type"] == "error":  # of a cell that is tagged to raise
        text = f"{output['ename']}: {output['evalue']}"
    lines = (line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))
    return [line for line in lines if line.strip()]


def test(arguments: list[str]) -> int:
    """Run all tests this machine can run, and name what was left out."""
    left_out = []
    if not find_python("3.13"):
        left_out.append(f"Python 3.13, which was not found; all tests ran on {version(sys.executable)} instead")
    for program, package in PROGRAMS.items():
        if not find_program(program):
            apt_install(package)
    main = main_environment("--editable=.[test]", "ipykernel")
    if find_program("chromium") and quiet(str(main / "bin/python"), "-m", "playwright", "--version").returncode:
        apt_install("libatomic1")  # of the libraries of playwright's node the one that few machines have
    runs = {main: arguments}
    if python := find_python("3.11"):
        old = environment(".venv-ipykernel6", python, "--editable=.[test]", *oldest())
        # as testpaths, so that a path among the arguments still selects; but never the browser tests
        runs[old] = [
            "--override-ini=testpaths=tests/core tests/jupyter",
            "--deselect=tests/browser/",
            "-m",
            "not pure",
            *arguments,
        ]
    else:
        left_out.append("the tests with ipykernel 6, because Python 3.11 was not found")
    results = pytest(runs)
    skipped = Counter((folder.name, reason) for folder, result in results.items() for reason in result.skipped)
    is_missing = bool(left_out) or any(reason.startswith("needs ") for _, reason in skipped)
    for (folder, reason), count in sorted(skipped.items()):
        left_out.append(f"{count} {'test' if count == 1 else 'tests'} in {folder}: {reason}")
    codes = [result.code if arguments else again(folder, result) for folder, result in results.items()]
    for part in left_out:
        say(f"left out: {part}")
    if is_missing and "CI" in os.environ:
        fail("CI is set, so nothing that is missing may be left out.")
    allowed = {0, 5} if arguments else {0}  # 5: the arguments selected no test, as they may in one of the two
    return 0 if allowed.issuperset(codes) and 0 in codes else 1


def oldest() -> list[str]:
    """The oldest releases that `pyproject.toml` allows, as pip takes them."""
    import tomllib  # late: an older Python gets a clear answer from `main`

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [each.replace(">=", "==") for each in project["dependencies"]]


class Result(NamedTuple):
    """How pytest ended."""

    code: int
    skipped: list[str]  # the reasons
    failed: list[str]  # the tests, as pytest takes them on its command line


def pytest(runs: dict[Path, list[str]]) -> dict[Path, Result]:
    """Run pytest with these arguments in these environments, all at once."""
    with contextlib.ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        started: list[subprocess.Popen[bytes]] = []
        with places(place / "places") as shared:
            for folder, arguments in runs.items():
                say(f"pytest in {folder.name}{', its output when all is done' if started else ''}")
                output = stack.enter_context(open(place / folder.name, "w+b")) if started else None
                words = (
                    *(str(folder / "bin/python"), "-m", "pytest", f"--numprocesses={AT_ONCE}", "--dist=loadfile"),
                    "--no-loadscope-reorder",  # browser first: it takes longest
                    *(f"--durations={SLOWEST}", f"--junitxml={place / folder.name}.xml"),
                    *("--override-ini=junit_family=xunit1", *arguments),  # the one that names files
                )
                env = {**inside(folder), "IPYPROC_TEST_PLACES": str(shared)}
                env.pop("PYTHONDONTWRITEBYTECODE", None)  # else each of thousands of processes compiles all of ipyproc
                run = subprocess.Popen(words, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
                started.append(run)
            try:
                codes = [run.wait() for run in started]
            except KeyboardInterrupt:  # they were interrupted too, and clean up
                for run in started:
                    run.wait()
                raise
        for folder in [*runs][1:]:
            say(f"pytest in {folder.name}")
            sys.stdout.buffer.write((place / folder.name).read_bytes())
        return {
            folder: Result(code, *outcomes(place / f"{folder.name}.xml"))
            for folder, code in zip(runs, codes, strict=True)
        }


def again(folder: Path, result: Result) -> int:
    """Run what failed beside other tests once more, alone, as CPython's own test runner does; the exit code that holds.

    These tests look at processes while two cores run many others. One that fails here too is a fault; one that passes is named.
    """
    if result.code != 1 or not 0 < len(result.failed) <= AGAIN:
        return result.code
    say(f"again and alone, in {folder.name}: {' '.join(result.failed)}")
    words = (str(folder / "bin/python"), "-m", "pytest", *result.failed)
    code = subprocess.run(words, check=False, cwd=ROOT, env=inside(folder), stdin=subprocess.DEVNULL).returncode
    if not code:
        for test in result.failed:
            say(f"failed beside other tests in {folder.name} and passed alone: {test}")
    return code


@contextlib.contextmanager
def places(path: Path) -> Iterator[Path]:
    """As many places as tests may run at once: bytes in a named pipe, of which each test takes one and gives it back."""
    os.mkfifo(path)
    held = os.open(path, os.O_RDWR)  # what is in it stays for as long as somebody has it open
    try:
        os.write(held, bytes(AT_ONCE))
        yield path
    finally:
        os.close(held)


def outcomes(report: Path) -> tuple[list[str], list[str]]:
    """The reason for each test that was skipped, and each test that failed, as pytest's JUnit report has them."""
    skipped: list[str] = []
    failed: list[str] = []
    if report.exists():  # it may have been told to write none, or have failed before
        for case in ElementTree.parse(report).iter("testcase"):
            skips = [each for each in case.iter("skipped") if each.get("type") != "pytest.xfail"]
            skipped += [each.get("message") or each.text or "" for each in skips]
            if case.find("failure") is not None or case.find("error") is not None:
                file = case.get("file", "")
                groups = case.get("classname", "").removeprefix(file.removesuffix(".py").replace("/", "."))
                failed.append(f"{file}{groups.replace('.', '::')}::{case.get('name')}")
    return skipped, [*dict.fromkeys(failed)]


def main_environment(*requirements: str) -> Path:
    """`.venv`, on Python 3.13 where there is one."""
    return environment(".venv", find_python("3.13") or sys.executable, *requirements)


def environment(name: str, python: str, *requirements: str) -> Path:
    """The virtual environment of that name with these requirements, made or completed if need be."""
    folder = ROOT / name
    stamp = folder / "dev.py.txt"
    made = f"made for {ROOT} on Python {version(python)}"  # an editable install knows its directory
    known = []
    if stamp.exists():
        if stamp.stat().st_mtime >= (ROOT / "pyproject.toml").stat().st_mtime:
            known = stamp.read_text(encoding="utf-8").splitlines()
    elif folder.exists():
        fail(f"{name} was not made by dev.py, or not to its end: remove it or move it away.")
    if made not in known:
        say(f"making {name} on Python {version(python)}")
        make_environment(folder, python)
        known = [made]
        stamp.write_text(made, encoding="utf-8")
    if not set(requirements).issubset(known):
        say(f"installing into {name}: {' '.join(requirements)} (a minute or two)")
        done = quiet(str(folder / "bin/python"), "-m", "pip", "install", "--disable-pip-version-check", *requirements)
        if done.returncode:
            fail(f"pip could not install into {name}.", done.stdout)
        stamp.write_text("\n".join([*known, *requirements]), encoding="utf-8")
    return folder


def make_environment(folder: Path, python: str) -> None:
    """A new virtual environment with pip; where Python cannot bring that, as on Debian, it comes from the package index."""
    done = quiet(python, "-m", "venv", "--clear", str(folder))
    if done.returncode:
        done = quiet(python, "-m", "venv", "--clear", "--without-pip", str(folder))
        why = done.stdout if done.returncode else install_pip(folder, version(python))
        if why:
            shutil.rmtree(folder, ignore_errors=True)
            package = f"python{version(python)}-venv"
            fail(f"{python} cannot make a virtual environment with pip: install the package {package}.", why)


def install_pip(folder: Path, python: str) -> str:
    """Have pip's newest wheel install itself; what went wrong, or nothing."""
    index = f"{(pip_option('index-url') or PYPI).rstrip('/')}/pip/"
    say(f"installing pip into {folder.name}, from its package index")
    try:
        address, digest = newest_pip(index, fetch(index).decode(), python)
        content = fetch(address)
    except (OSError, ValueError) as error:
        return f"{index}: {error}"
    if hashlib.sha256(content).hexdigest() != digest:
        return f"{address}: the SHA-256 is not {digest}"
    with tempfile.TemporaryDirectory() as place:
        wheel = Path(place, address.rpartition("/")[2])
        wheel.write_bytes(content)
        done = quiet(str(folder / "bin/python"), f"{wheel}/pip", "install", "--no-index", str(wheel))
    return done.stdout if done.returncode else ""


def newest_pip(index: str, page: str, python: str) -> tuple[str, str]:
    """The address and the SHA-256 of the newest wheel for this Python on a page of the index (PEP 503)."""
    found = []
    for link in Links.of(page):
        address, digest = urldefrag(urljoin(index, link.get("href") or ""))
        name = re.search(r"/pip-([\d.]+)-py3-none-any\.whl$", address)
        oldest = re.search(r">=\s*3\.(\d+)", link.get("data-requires-python") or "")
        fits = not oldest or int(oldest[1]) <= int(python.partition(".")[2])
        if name and fits and digest.startswith("sha256=") and "data-yanked" not in link:
            found.append(([int(part) for part in name[1].split(".")], address, digest.removeprefix("sha256=")))
    if not found:
        raise ValueError(f"there is no wheel of pip for Python {python}")
    return max(found)[1:]


class Links(HTMLParser):
    """The attributes of the links of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[dict[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Called by the parser."""
        if tag == "a":
            self.found.append(dict(attrs))

    @classmethod
    def of(cls, page: str) -> list[dict[str, str | None]]:
        """Those of this page."""
        links = cls()
        links.feed(page)
        return links.found


def fetch(address: str) -> bytes:
    """What is at an address, which may hold a name and a password; with the certificates that pip trusts."""
    parts = urlsplit(address)
    user, _, host = parts.netloc.rpartition("@")
    request = Request(parts._replace(netloc=host).geturl())
    if user:
        request.add_header("Authorization", f"Basic {b64encode(unquote(user).encode()).decode()}")
    context = ssl.create_default_context(cafile=pip_option("cert"))
    with urlopen(request, timeout=60, context=context) as answer:
        return bytes(answer.read())


def pip_option(name: str) -> str | None:
    """An option as pip finds it: in its environment variable, in the user's configuration or in the machine's."""
    config = configparser.RawConfigParser()
    home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    own = os.environ.get("PIP_CONFIG_FILE", "")
    config.read(
        ["/etc/xdg/pip/pip.conf", "/etc/pip.conf", Path.home() / ".pip/pip.conf", Path(home, "pip/pip.conf"), own]
    )
    of_files = config.get("install", name, fallback=config.get("global", name, fallback=None))
    return os.environ.get(f"PIP_{name.upper().replace('-', '_')}") or of_files


def inside(folder: Path) -> dict[str, str]:
    """The variables of an activated environment: programs that tests and cells start are found in it."""
    return {**os.environ, "VIRTUAL_ENV": str(folder), "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"}


def find_python(wanted: str) -> str | None:
    """A Python of that version: this one, or one in PATH, or the newest of pyenv."""
    pyenv = Path.home().glob(f".pyenv/versions/{wanted}*/bin/python")
    newest_first = sorted(map(str, pyenv), key=lambda path: [int(n) for n in re.findall(r"\d+", path)], reverse=True)
    for path in (sys.executable, shutil.which(f"python{wanted}"), *newest_first):
        if path and version(path) == wanted:
            return path
    return None


def version(python: str) -> str:
    """Such as 3.13; empty if it does not run, like pyenv's stand-in for a version that is not switched on."""
    done = quiet(python, "-c", "import sys; print(*sys.version_info[:2], sep='.')")
    return "" if done.returncode else done.stdout.strip()


def find_program(name: str) -> bool:
    """Whether it is there; what only root runs is not in everybody's PATH."""
    path = f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin"
    return any(shutil.which(each, path=path) for each in (name, *OTHER_NAMES.get(name, ())))


def apt_install(package: str) -> None:
    """Install a Debian package, if this user may."""
    if apt := apt_get():
        say(f"apt-get install {package}")
        quiet(*apt, "install", "-y", package)


@functools.cache
def apt_get() -> tuple[str, ...]:
    """As this user can run it, with new lists of packages; nothing, if there is none or this user may not."""
    sudo = () if os.geteuid() == 0 else ("sudo", "-n")
    if not all(shutil.which(word) for word in (*sudo[:1], "apt-get")) or (sudo and quiet(*sudo, "true").returncode):
        return ()
    words = (*sudo, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get")
    quiet(*words, "update")  # where this fails, the old lists may still do
    return words


def quiet(*words: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a program without showing its output."""
    null, pipe, same = subprocess.DEVNULL, subprocess.PIPE, subprocess.STDOUT
    return subprocess.run(words, check=False, cwd=ROOT, env=env, stdin=null, stdout=pipe, stderr=same, text=True)


def say(text: str) -> None:
    """One line about what happens now."""
    print(f"dev.py: {text}", flush=True)


def fail(sentence: str, output: str = "") -> NoReturn:
    """End with one sentence, below the output it is about."""
    sys.exit(f"{output.rstrip()}\ndev.py: {sentence}".lstrip())


if __name__ == "__main__":
    sys.exit(main())
