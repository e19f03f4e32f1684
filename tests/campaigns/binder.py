"""What Binder makes of this repository, in a fresh environment: `sudo python -m tests.campaigns.binder`.

There is no docker here, so the steps are those that repo2docker documents, one by one and by an ordinary user without any
capability: its base environment (by pip; repo2docker takes the same packages from conda-forge), the files of `binder/` in
their order, JupyterLab, and its page in Chromium, where the first notebook is run. It takes what is committed. Each step
is printed with its time and what it adds on disk.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import expect

import dev

from ..browser.lab import chromium

BASE = (  # of repo2docker, environment.py-3.13.yml of October 2025
    *("pip", "ipywidgets==8.*", "jupyter-offlinenotebook==0.3.*", "jupyter-resource-usage==1.*", "jupyter_server==2.*"),
    *("jupyterhub==5.*", "jupyterlab==4.*", "notebook==7.*"),
)
CAPABILITIES = ("--bounding-set=-all", "--inh-caps=-all", "--no-new-privs")
PATIENCE = 120  # seconds for the server to answer


def main() -> int:
    """Build, start, look."""
    if os.geteuid():
        sys.exit("this makes a user and acts as it: run it as root")
    with user() as (name, home), tempfile.TemporaryDirectory(prefix="binder-") as folder:
        place = Path(folder)
        place.chmod(0o755)
        venv = place / "venv"
        person = Person(name, home, venv)
        with step("source, as a clone", home):
            subprocess.run(["git", "clone", "--quiet", dev.ROOT, home / "source"], check=True)
            for path in (home / "source").iterdir():  # the repository is the home itself
                path.rename(home / path.name)
            (home / "source").rmdir()
            person.own(home)
        wanted = (home / "binder/runtime.txt").read_text().strip().removeprefix("python-")
        with step(f"Python {wanted}", place):
            python = readable(wanted, place)
            person.env["LD_LIBRARY_PATH"] = str(Path(python).parents[1] / "lib")  # of one that was copied
            venv.mkdir()
            person.own(venv)
            person.run(python, "-m", "venv", venv)
        with step("repo2docker's own packages", venv):
            person.run("pip", "install", "--no-cache-dir", "--quiet", *BASE)
        with step("binder/requirements.txt", venv):
            person.run("pip", "install", "--no-cache-dir", "--quiet", "-r", "binder/requirements.txt")
        with step("binder/postBuild", home):
            person.run("bash", "binder/postBuild")
        print(person.run("python", "-c", "import ipyproc; ipyproc.show_versions()").stdout)
        with server(person) as url:
            look(url, sorted(path.name for path in (home / "notebooks").glob("*.ipynb")))
    return 0


class Person:
    """The user that Binder runs everything as."""

    def __init__(self, name: str, home: Path, venv: Path) -> None:
        self.name = name
        self.home = home
        kept = {key: value for key, value in os.environ.items() if key.startswith(("PIP_", "SSL_", "http", "HTTP"))}
        path = f"{venv / 'bin'}:/usr/local/bin:/usr/bin:/bin"
        self.env = {**kept, "HOME": str(home), "USER": name, "LANG": "C.UTF-8", "PATH": path}

    def command(self, *words: object) -> list[str]:
        """The words of a program that this user runs."""
        who = ("setpriv", f"--reuid={self.name}", f"--regid={self.name}", "--init-groups", *CAPABILITIES, "env")
        return [*who, *map(str, words)]

    def run(self, *words: object) -> subprocess.CompletedProcess[str]:
        """Run it to its end, in the home; its output ends us if it fails."""
        done = subprocess.run(
            self.command(*words), cwd=self.home, env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        if done.returncode:
            sys.exit(f"{' '.join(map(str, words))}\n{done.stdout}{done.stderr}")
        return done

    def own(self, folder: Path) -> None:
        """Give it a folder with all that is in it."""
        subprocess.run(["chown", "-R", f"{self.name}:{self.name}", folder], check=True)


@contextlib.contextmanager
def user() -> Iterator[tuple[str, Path]]:
    """A user with a home, for a while."""
    name = f"binder-{secrets.token_hex(3)}"
    subprocess.run(["useradd", "--create-home", "--user-group", "--shell", "/bin/bash", name], check=True)
    try:
        yield name, Path(pwd.getpwnam(name).pw_dir)
    finally:
        subprocess.run(["userdel", "--remove", name], check=True, stderr=subprocess.DEVNULL)  # it has no mail


def readable(wanted: str, place: Path) -> str:
    """A Python of that version that an ordinary user can run: a copy of one that is root's."""
    found = dev.find_python(wanted)
    if found is None:
        sys.exit(f"Python {wanted} was not found")
    prefix = dev.quiet(found, "-c", "import sys; print(sys.base_prefix)").stdout.strip()
    if prefix.startswith("/root/"):
        shutil.copytree(prefix, place / "python", symlinks=True, ignore=shutil.ignore_patterns("test", "__pycache__"))
        prefix = str(place / "python")
    return f"{prefix}/bin/python{wanted}"


@contextlib.contextmanager
def step(name: str, folder: Path) -> Iterator[None]:
    """Print how long it took and what it added to the folder."""
    before, began = size(folder), time.monotonic()
    yield
    print(f"{name:32} {time.monotonic() - began:7.1f} s {(size(folder) - before) / 1e6:+8.1f} MB", flush=True)


def size(folder: Path) -> int:
    """Bytes on disk."""
    return int(subprocess.check_output(["du", "-s", "--block-size=1", folder]).split()[0])


@contextlib.contextmanager
def server(person: Person) -> Iterator[str]:
    """JupyterLab, until it answers; its address with the token."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_hex(16)
    words = ("jupyter", "lab", "--no-browser", "--ip=127.0.0.1", f"--port={port}", f"--IdentityProvider.token={token}")
    began = time.monotonic()
    log = person.home / ".server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            person.command(*words), cwd=person.home, env=person.env, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/api/status?token={token}").close()
                break
            except urllib.error.URLError:
                if process.poll() is not None or time.monotonic() - began > PATIENCE:
                    sys.exit(log.read_text())
                time.sleep(0.1)
        print(f"{'JupyterLab answers':32} {time.monotonic() - began:7.1f} s", flush=True)
        yield f"http://127.0.0.1:{port}/lab?token={token}"
    finally:
        process.terminate()
        process.wait()


def look(url: str, notebooks: list[str]) -> None:
    """Open the page as Binder does, and run the first notebook, which stands there."""
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1200, "height": 900})
        began = time.monotonic()
        page.goto(url)
        expect(page.locator(".jp-NotebookPanel .jp-Notebook")).to_contain_text("First run")
        expect(page.locator("#jp-main-statusbar")).to_contain_text("| Idle")
        print(f"{'the notebook and its kernel':32} {time.monotonic() - began:7.1f} s")
        listed = page.locator(".jp-DirListing-itemText")
        for name in notebooks:
            expect(listed.filter(has_text=name)).to_be_visible()
        began = time.monotonic()
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        expect(page.locator(".ipyproc-card").first).to_be_visible()
        print(f"{'the first card':32} {time.monotonic() - began:7.1f} s")
        prompts = page.locator(".jp-CodeCell .jp-InputPrompt")
        expect(prompts.last).to_have_text(re.compile(r"\[\d+\]:"), timeout=PATIENCE * 1000)
        print(f"{'all cells of the first notebook':32} {time.monotonic() - began:7.1f} s")
        expect(page.get_by_text("Jupyter news")).to_have_count(0)
        expect(page.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.error']")).to_have_count(0)
        if folder := os.environ.get("IPYPROC_SCREENSHOTS"):
            page.screenshot(path=Path(folder, "binder.png"))


if __name__ == "__main__":
    sys.exit(main())
