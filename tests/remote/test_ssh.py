"""What an sshd and its machine can refuse, and what is said then."""

import asyncio
import re
import shutil
import subprocess

import asyncssh
import pytest

import ipyproc
from ipyproc._core import launch
from ipyproc._remote import parcel, ssh

pytestmark = pytest.mark.timeout(60)


async def refused(**options):
    on = ipyproc.SSHLauncher(**options)
    try:
        with pytest.raises(ConnectionError) as caught:
            await asyncio.wait_for(ipyproc.run("true", on=on), 50)
        assert f"{options['username']}@127.0.0.1" in str(caught.value)
        return str(caught.value)
    finally:
        await on.aclose()


async def test_a_host_that_is_not_known(sshd, tmp_path):
    (tmp_path / "none").touch()
    said = await refused(**{**sshd, "known_hosts": str(tmp_path / "none")})
    assert "its key is not in ~/.ssh/known_hosts" in said
    assert f"run `ssh -p {sshd['port']} {sshd['username']}@127.0.0.1` in a terminal once" in said


async def test_keys_that_do_not_help(sshd, tmp_path):
    """Nobody is asked for a password, or a passphrase: there is nobody to answer in a cell."""
    for name, phrase in (("other", ""), ("locked", "phrase")):
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", phrase, "-f", str(tmp_path / name)]
        subprocess.run(words, check=True, stdin=subprocess.DEVNULL)
    assert "it takes none of your keys" in await refused(**{**sshd, "client_keys": [str(tmp_path / "other")]})
    assert "by `ssh-add` in a terminal" in await refused(**{**sshd, "client_keys": [str(tmp_path / "locked")]})
    assert "No such file or directory: " in await refused(**{**sshd, "client_keys": [str(tmp_path / "nothing")]})


async def test_a_key_of_an_agent(sshd, monkeypatch):
    agent = subprocess.run(["ssh-agent", "-s"], check=True, capture_output=True, text=True).stdout
    environment = dict(re.findall(r"(SSH_\w+)=([^;]+);", agent))
    try:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        subprocess.run(["ssh-add", "-q", *sshd["client_keys"]], check=True)
        on = ipyproc.SSHLauncher(**{name: value for name, value in sshd.items() if name != "client_keys"})
        assert (await ipyproc.run("echo", "in", on=on)).stdout == "in\n"
        await on.aclose()
    finally:
        subprocess.run(["kill", environment["SSH_AGENT_PID"]], check=True)


async def test_a_machine_without_a_python_for_us(sshd, tmp_path):
    assert "/nope/python: not found" in await refused(**sshd, python="/nope/python")
    assert "/bin/false ended without a word" in await refused(**sshd, python="/bin/false")
    (tmp_path / "sh").symlink_to(shutil.which("sh"))
    (tmp_path / "python3").write_text("#!/bin/sh\nexit 1\n")  # as an old one says it is no newer
    (tmp_path / "python3").chmod(0o755)
    words = [tmp_path / "sh", "-c", ssh._command(None)]
    done = subprocess.run(words, env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (127, "no Python 3.11 or newer was found there\n")


async def test_a_login_that_never_ends_to_print(sshd, tmp_path):
    noise = tmp_path / "noise"
    noise.write_text("#!/bin/sh\nexec yes noise\n")
    noise.chmod(0o755)
    assert "its login has printed 1,000 lines, and runs no Python" in await refused(**sshd, python=str(noise))


async def test_the_last_words_of_a_login_are_inert(sshd, tmp_path):
    curse = tmp_path / "curse"
    curse.write_text("#!/bin/sh\nprintf '\\033[2Jno\\007\\n' >&2\n")
    curse.chmod(0o755)
    said = await refused(**sshd, python=str(curse))
    assert "no" in said and said.isprintable()


async def test_the_reason_is_heard_although_it_ended_before_we_spoke(sshd, monkeypatch):
    """As it happens where we are slow: the channel is closed by then."""
    create_process = asyncssh.SSHClientConnection.create_process

    async def create_and_wait(*words, **options):
        process = await create_process(*words, **options)
        await process.channel.wait_closed()
        return process

    monkeypatch.setattr(asyncssh.SSHClientConnection, "create_process", create_and_wait)
    assert "/nope/python: not found" in await refused(**sshd, python="/nope/python")


async def test_a_channel_that_closes_while_we_speak_is_a_broken_connection(sshd):
    on = ipyproc.SSHLauncher(**sshd)
    running = await ipyproc.start("sleep", "60", on=on)
    (await on._connections.get())._there.channel.abort()
    with pytest.raises(ipyproc.ProcessLost, match=r"was being started on .* was lost: the connection broke"):
        await ipyproc.run("true", on=on)
    with pytest.raises(ipyproc.ProcessLost, match="the connection broke"):
        await running.wait()
    await on.aclose()


async def test_a_python_there_that_was_built_for_an_older_linux(sshd, monkeypatch):
    """As conda's and uv's are."""
    monkeypatch.setattr(parcel, "BOOT", f"import os\ndel os.memfd_create, os.pidfd_open\n{parcel.BOOT}")
    on = ipyproc.SSHLauncher(**sshd)
    assert (await ipyproc.run("echo", "there", on=on)).stdout == "there\n"
    await on.aclose()


async def test_more_programs_than_an_sshd_allows_sessions(sshd):
    """MaxSessions is 10 here, as everywhere where nobody has set it."""
    on = ipyproc.SSHLauncher(**sshd)
    results = await ipyproc.parallel([["sh", "-c", f"sleep 0.2; echo {number}"] for number in range(60)], 60, on=on)
    assert [done.stdout for done in results] == [f"{number}\n" for number in range(60)]
    await on.aclose()


async def test_a_host_of_an_included_file(sshd, tmp_path, monkeypatch):
    place = tmp_path / ".ssh"
    (place / "conf.d").mkdir(parents=True)
    (place / "config").write_text("Include conf.d/*\n")
    (place / "conf.d" / "mine").write_text(
        f"Host included\n  HostName {sshd['host']}\n  Port {sshd['port']}\n  User {sshd['username']}\n"
        f"  IdentityFile {sshd['client_keys'][0]}\n  UserKnownHostsFile {sshd['known_hosts']}\n"
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    done = await ipyproc.run("echo", "there", on="included")
    assert done.stdout == "there\n"
    await launch.disconnect()
