"""A real cluster of worker processes, and a real sshd, on this machine."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from distributed import Client

from ..ports import free_port

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
_CLUSTER = """
import sys
from distributed import LocalCluster
if __name__ == "__main__":
    with LocalCluster(n_workers=int(sys.argv[1]), threads_per_worker=1, dashboard_address=":0") as cluster:
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()
"""
_SSHD = """
Port {port}
ListenAddress {host}
HostKey {place}/host
AuthorizedKeysFile {place}/key.pub
StrictModes no
PidFile none
UsePAM no
PasswordAuthentication no
PermitRootLogin yes
"""


@contextlib.contextmanager
def cluster(workers: int) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The address of its scheduler, and the process that is scheduler and nannies in one."""
    words = [sys.executable, "-c", _CLUSTER, str(workers)]
    pipe, null = subprocess.PIPE, subprocess.DEVNULL
    with subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=null, text=True) as process:
        assert process.stdout
        try:
            yield process.stdout.readline().strip(), process
        finally:
            process.communicate()


@contextlib.contextmanager
def sshd(place: Path, host: str = "127.0.0.1", inside: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
    """An sshd that lets the user who runs it in; what `SSHLauncher` needs to reach it."""
    assert SSHD
    for name in ("host", "key"):
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(place / name)]
        subprocess.run(words, check=True, stdin=subprocess.DEVNULL)
    port = free_port()
    (place / "config").write_text(_SSHD.format(port=port, place=place, host=host))
    known = " ".join((place / "host.pub").read_text().split()[:2])
    (place / "known").write_text(f"[{host}]:{port} {known}\n")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # an sshd of root wants it
    with subprocess.Popen(
        [*inside, SSHD, "-D", "-e", "-f", str(place / "config")], stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr
        try:
            for line in process.stderr:
                if "listening" in line:
                    break
            else:
                raise AssertionError("sshd has not started")
            yield {
                "host": host,
                "port": port,
                "username": getpass.getuser(),
                "client_keys": [str(place / "key")],
                "known_hosts": str(place / "known"),
                "config": None,
            }
        finally:
            process.kill()
            process.communicate()


@contextlib.contextmanager
def separate_cluster(
    place: Path, host: str = "127.0.0.1", worker_host: str = "127.0.0.1", inside: Sequence[str] = ()
) -> Iterator[tuple[str, dict[str, int]]]:
    """Scheduler, nanny and worker as processes of their own: the address, and their pids."""
    file = place / "scheduler.json"
    quiet: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    roles = {
        "scheduler": ("dask_scheduler", f"--host={host}", "--port=0", "--no-show", "--no-dashboard"),
        "nanny": ("dask_worker", f"--host={worker_host}", "--nthreads=1", "--no-dashboard"),
    }
    processes = {}
    try:
        for role, (module, *words) in roles.items():
            command = [*inside, sys.executable, "-m", f"distributed.cli.{module}", f"--scheduler-file={file}", *words]
            processes[role] = subprocess.Popen(command, cwd=place, **quiet)
        with Client(scheduler_file=str(file), timeout=60) as client:
            client.wait_for_workers(1, timeout=60)
            [worker] = client.run(os.getpid).values()
            address = client.scheduler.address
        yield address, {role: process.pid for role, process in processes.items()} | {"worker": worker}
    finally:
        for process in reversed(processes.values()):
            process.kill()
            process.wait()
