"""What `on=` takes, and what is said of all else; nothing is connected here."""

import importlib.metadata
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


def test_launchers_of_other_packages(monkeypatch):
    monkeypatch.setattr(names, "_cache", {})
    point = importlib.metadata.EntryPoint("k8s", "tests.remote.test_names:other", "ipyproc.launchers")
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [point] if "ipyproc" in group else [])
    assert named("k8s://namespace/pod").address == "k8s://namespace/pod"


class other:  # noqa: N801  -- called as a function
    def __init__(self, address):
        self.address = address

    async def aclose(self):
        """There is nothing to close."""


def test_hosts_of_the_ssh_configuration(tmp_path):
    (tmp_path / "config").write_text('Host box "big" *.example.org !x\n  HostName 10.0.0.1\nHOST=third\nMatch all\n')
    assert ssh_hosts(tmp_path / "config") == ["box", "big", "third"]
    assert ssh_hosts(tmp_path / "nothing") == []


def test_plain_connections_to_others_are_warned_of():
    with pytest.warns(UserWarning, match="without TLS"):
        ipyproc.DaskLauncher("tcp://10.0.0.1:8786")
    for address in ("tls://10.0.0.1:8786", "tcp://127.0.0.1:8786", "tcp://localhost:8786", "tcp://[::1]:8786"):
        ipyproc.DaskLauncher(address)
