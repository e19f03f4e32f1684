"""What `on=` takes, and what is said of all else; nothing is connected here."""

import asyncio
import pwd
import re
import subprocess
import sys
import textwrap

import pytest

import ipyproc
from ipyproc._core.launch import named, names, ssh_hosts


def test_addresses_and_their_launchers():
    assert isinstance(named("ssh://me@box:2222"), ipyproc.SSHLauncher)
    assert named("ssh://me@box:2222") is named("ssh://me@box:2222")  # and so the connection is shared
    assert named("ssh://me@Box").where == "me@Box"
    assert isinstance(named("tcp://127.0.0.1:8786"), ipyproc.DaskLauncher)
    assert isinstance(named("dask"), ipyproc.DaskLauncher)


def test_a_machine_that_is_no_linux_can_be_this_end():
    code = (
        "import os, resource; del resource.RLIMIT_RTTIME, resource.prlimit, os.pidfd_open; import ipyproc._remote.near"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_names_of_ones_own(monkeypatch):
    launcher = ipyproc.SSHLauncher("box")
    monkeypatch.setitem(ipyproc.launchers, "mine", launcher)
    monkeypatch.setitem(ipyproc.launchers, "other", "mine")
    assert isinstance(named("dask", {"dask": ipyproc}), ipyproc.DaskLauncher)  # as after `import dask`
    assert named("mine") is named("other") is named(launcher) is named("variable", {"variable": launcher}) is launcher
    monkeypatch.setitem(ipyproc.launchers, "round", "round")
    with pytest.raises(ValueError, match="circle"):
        named("round")


@pytest.mark.parametrize(
    ("on", "said"),
    [
        ("dusk", "did you mean dask?"),
        ("shh://box", "did you mean ssh?"),
        ("myne", "did you mean mine?"),
        ("", "there is no such place"),
        ("ssh://me:word@box", "no password"),
        ("ssh://", "SSH address|ssh://[USER@]HOST"),
        ("ssh://box/path", "ssh://[USER@]HOST"),
        ("ssh://box:x", "ssh://box:x"),
        ("tcp://box", "allowed is tcp://HOST:PORT"),
        ("tls", "allowed is tls://HOST:PORT"),
        ("tcp://:8786", "allowed is tcp://HOST:PORT"),
        ("dask://box:8786", "allowed is dask alone, or tcp://HOST:PORT"),
    ],
)
def test_what_is_no_place(on, said, monkeypatch):
    monkeypatch.setitem(ipyproc.launchers, "mine", ipyproc.SSHLauncher("box"))
    with pytest.raises(ValueError, match="|".join(map(re.escape, said.split("|")))):
        ipyproc.run("true", on=on)


def test_the_nearest_variable_is_told():
    with pytest.raises(ValueError, match=r"did you mean my_box\?"):
        named("mybox", {"my_box": ipyproc.SSHLauncher("box"), "mybax": 3})


def test_an_object_that_is_no_place():
    with pytest.raises(TypeError, match="on=3: allowed are a name, a launcher, and a Dask Client or cluster"):
        ipyproc.run("true", on=3)


def test_a_missing_package_is_named():
    code = """
        import sys
        sys.modules["asyncssh"] = None
        import ipyproc
        try:
            ipyproc.run("true", on="ssh://box")
        except ImportError as error:
            print(error)
    """
    said = subprocess.check_output([sys.executable, "-c", textwrap.dedent(code)], text=True)
    assert "pip install 'ipyproc[ssh]'" in said


_PACKAGE = """
import asyncio
import ipyproc
from ipyproc._remote.far import Session  # what runs there; here it is the same process


class Launcher(ipyproc.LinkLauncher):
    name = "pod"

    def __init__(self, address):
        self.address = address

    async def slots(self):
        return 2

    async def open(self, transport):
        return Link(self.address, transport)


class Link:
    ends_family = True  # the place is for others when the program has ended

    def __init__(self, where, transport):
        loop = asyncio.get_running_loop()
        self.where = where
        self.session = Session(lambda message: loop.call_soon(transport.receive, message))

    def send(self, message):
        self.session.receive(message)

    def close(self):
        self.session.close()
"""


def test_a_launcher_of_another_package(tmp_path, monkeypatch):
    """As pip installs one: found by its entry point, used by its scheme, its name, and as an object."""
    (tmp_path / "pods.py").write_text(_PACKAGE)
    (tmp_path / "pods-1.dist-info").mkdir()
    (tmp_path / "pods-1.dist-info" / "METADATA").write_text("Name: pods\nVersion: 1\n")
    (tmp_path / "pods-1.dist-info" / "entry_points.txt").write_text("[ipyproc.launchers]\npod = pods:Launcher\n")
    with pytest.raises(ValueError, match="there is no such place"):
        named("pod://one")
    monkeypatch.syspath_prepend(tmp_path)
    assert named("pod").address == "pod"
    with pytest.raises(ValueError, match=r"did you mean pod\?"):
        named("pdo://one")

    async def use():
        done = await ipyproc.run("sh", "-c", "cat; echo err >&2; exit 3", input="in", on="pod://one", check=False)
        assert (done.returncode, done.stdout, done.stderr) == (3, "in", "err\n")
        async with await ipyproc.start("sleep", "60", on=named("pod://two")) as process:
            assert f"{process.pid} on pod://two" in repr(process)
            assert await process.stop() == -15
        with pytest.raises(FileNotFoundError, match="no such program on pod://one"):
            await ipyproc.run("nope-nope", on="pod://one")
        results = await ipyproc.parallel([["echo", str(number)] for number in range(5)], on="pod://one")
        assert [done.stdout for done in results] == [f"{number}\n" for number in range(5)]

    asyncio.run(use())


def test_a_launcher_that_is_broken(tmp_path, monkeypatch):
    """The error names the package, and not only what is wrong in it."""
    (tmp_path / "broken-1.dist-info").mkdir()
    (tmp_path / "broken-1.dist-info" / "METADATA").write_text("Name: broken\nVersion: 1\n")
    (tmp_path / "broken-1.dist-info" / "entry_points.txt").write_text(
        "[ipyproc.launchers]\nbrk = no_such_module:Launcher\nint = builtins:str\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportError, match=r"the package broken has no no_such_module:Launcher"):
        named("brk://one")
    with pytest.raises(TypeError, match=r"what builtins:str of the package broken gives is no launcher"):
        named("int://one")


def test_hosts_of_the_ssh_configuration(tmp_path):
    (tmp_path / "config").write_text('Host box "big" *.example.org !x\n  HostName 10.0.0.1\nHOST=third\nMatch all\n')
    assert ssh_hosts(tmp_path / "config") == ["box", "big", "third"]
    assert ssh_hosts(tmp_path / "nothing") == []


@pytest.fixture
def ssh_config(tmp_path, monkeypatch):
    """Where ~/.ssh is, and nobody answers for names."""
    (tmp_path / ".ssh" / "conf.d").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(names, "_cache", {})
    monkeypatch.setattr(names.socket, "getaddrinfo", lambda host, port: no_address())
    return tmp_path / ".ssh"


def test_a_file_of_a_user_who_is_not_there_hides_no_host(ssh_config):
    (ssh_config / "config").write_text("Include ~nobody-of-this-name/config\nHost own\n")
    assert ssh_hosts() == ["own"]


def test_a_user_without_a_home(ssh_config, monkeypatch):
    def unknown(user):
        raise KeyError(user)

    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    with pytest.raises(ValueError, match="there is no such place"):
        named("bx")


def no_address():
    raise OSError("Name or service not known")


def test_hosts_of_files_that_are_included(ssh_config):
    (ssh_config / "config").write_text("Include conf.d/*.conf\nInclude=~/.ssh/more\nHost own\nInclude config\n")
    (ssh_config / "conf.d" / "a.conf").write_text('Host deep "quoted"\n  HostName 10.0.0.1\n')
    (ssh_config / "more").write_text("  include conf.d/b\n")
    (ssh_config / "conf.d" / "b").write_text("host far\n")
    assert ssh_hosts() == ["deep", "quoted", "far", "own"]
    assert isinstance(named("deep"), ipyproc.SSHLauncher)
    with pytest.raises(ValueError, match=r"did you mean deep\?"):
        named("deeep")


def test_patterns_and_matches_of_the_ssh_configuration(ssh_config):
    (ssh_config / "config").write_text(
        "Include conf.d/*\nHost *\n  HostName %h.example.org\n  IdentityFile ~/.ssh/%n\nHost !*.*\n  Port 23\n"
    )
    (ssh_config / "conf.d" / "a").write_text("Host node*\n  User me\nMatch originalhost gpu\n  Port 22\n")
    for name in ("node7", "gpu"):
        assert named(name).where == name
    for name in ("nod7", "gqu", "no.de", "x" * 300, "node 7", "3"):
        with pytest.raises(ValueError, match="there is no such place"):
            named(name)
    (ssh_config / "config").write_text("Host node*\n  Port x\n")
    with pytest.raises(ValueError, match="there is no such place"):
        named("node8")


def test_a_name_that_has_an_address(ssh_config, monkeypatch):
    monkeypatch.setattr(
        names.socket, "getaddrinfo", lambda host, port: ["there"] if host == "box.lan" else no_address()
    )
    assert named("box.lan").where == "box.lan"
    with pytest.raises(ValueError, match="there is no such place"):
        named("bax.lan")


def test_plain_connections_to_others_are_warned_of():
    with pytest.warns(UserWarning, match="without TLS"):
        ipyproc.DaskLauncher("tcp://10.0.0.1:8786")
    for address in ("tls://10.0.0.1:8786", "tcp://127.0.0.1:8786", "tcp://localhost:8786", "tcp://[::1]:8786"):
        ipyproc.DaskLauncher(address)
