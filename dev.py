"""The two commands of the README; they need Python 3.11 or newer and nothing else.

python3 dev.py notebook [--execute]     open the first notebook in JupyterLab, or run it without a page
python3 dev.py test [pytest args...]    run all tests, and tests/core and tests/jupyter with ipykernel 6 too

What they install goes to .venv and .venv-ipykernel6, made anew when pyproject.toml has changed.
A part that this machine cannot run is left out and named; with CI set in the environment that is a failure.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parent
NOTEBOOK = ROOT / "notebooks" / "01_first_run.ipynb"
CELL_SECONDS = 300  # a cell that takes longer hangs
SHOWN_LINES = 4  # at the start and at the end of each cell's output
SHOWN_WIDTH = 110
AT_ONCE = (os.cpu_count() or 2) + 1  # tests; they wait half of the time, and more of them would wait for each other


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
    ignored = []
    if not find_python("3.13"):
        left_out.append(f"Python 3.13, which was not found; all tests ran on {version(sys.executable)} instead")
    if not find_chromium() and not (apt_install("chromium") and find_chromium()):
        left_out.append("tests/browser, because Chromium was not found and could not be installed")
        ignored.append("--ignore=tests/browser")
    if not find_sshd() and not (apt_install("openssh-server") and find_sshd()):
        left_out.append("the tests over SSH, because sshd was not found and could not be installed")
    runs = [(main_environment("--editable=.[test]", "ipykernel"), (*ignored, *arguments))]
    python = find_python("3.11")
    if python:
        old = environment(".venv-ipykernel6", python, "--editable=.[test]", "ipykernel>=6.29,<6.32", "ipython<9")
        # as testpaths, so that a path among the arguments still selects; but never the browser tests
        narrow = ("--override-ini=testpaths=tests/core tests/jupyter", "--deselect=tests/browser/")
        runs.append((old, (*narrow, *arguments)))
    else:
        left_out.append("the tests with ipykernel 6, because Python 3.11 was not found")
    codes = [pytest(folder, words) for folder, words in runs]
    for part in left_out:
        say(f"left out: {part}")
    if left_out and "CI" in os.environ:
        fail("CI is set, so nothing may be left out.")
    allowed = {0, 5} if arguments else {0}  # 5: the arguments selected no test, as they may in one of the two
    return 0 if allowed.issuperset(codes) and 0 in codes else 1


def pytest(folder: Path, arguments: tuple[str, ...]) -> int:
    """Run pytest in this environment, some tests at once unless the arguments say how many; its exit code."""
    say(f"pytest in {folder.name}")
    at_once = (
        f"--numprocesses={AT_ONCE}",
        "--dist=loadfile",
        "--no-loadscope-reorder",
    )  # browser first: it takes longest
    words = (str(folder / "bin/python"), "-m", "pytest", *at_once, *arguments)
    return subprocess.run(words, check=False, cwd=ROOT, env=inside(folder), stdin=subprocess.DEVNULL).returncode


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
    """A new virtual environment; Debian keeps what that needs in a package of its own."""
    package = f"python{version(python)}-venv"
    done = quiet(python, "-m", "venv", "--clear", str(folder))
    if done.returncode and apt_install(package):
        done = quiet(python, "-m", "venv", "--clear", str(folder))
    if done.returncode:
        shutil.rmtree(folder, ignore_errors=True)
        fail(f"{python} cannot make a virtual environment: install the package {package}.", done.stdout)


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


def find_chromium() -> bool:
    """Whether tests/browser has its browser."""
    return any(shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome"))


def find_sshd() -> bool:
    """Whether tests/remote has its sshd; what only root runs is not in everybody's PATH."""
    return bool(shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin"))


def apt_install(package: str) -> bool:
    """Install a Debian package, if there is apt-get and this user may."""
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if not all(shutil.which(word) for word in (*sudo[:1], "apt-get")):
        return False
    say(f"apt-get install {package}")
    apt = (*sudo, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get")
    quiet(*apt, "update")  # where this fails, the old lists may still do
    return quiet(*apt, "install", "-y", package).returncode == 0


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
