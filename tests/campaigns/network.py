"""A network that breaks without a word, and workers that only their scheduler can reach. Linux, as root, three minutes.

python -m tests.campaigns.network

The other machine is a network namespace of this one. Its network is cut by telling both ends a wrong address of the other:
what is sent goes to nobody, and nobody is told. Printed is how long a program is held for running here, and how long it
runs there.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ipyproc

from ..hostile_family import marked
from ..remote import places

NAME, HERE, THERE = "ipyproc-campaign", "10.98.76.1", "10.98.76.2"
INSIDE = ("ip", "netns", "exec", NAME)
_MADE = f"""
ip netns add {NAME}
ip link add ipyproc-here type veth peer name ipyproc-there netns {NAME}
ip addr add {HERE}/24 dev ipyproc-here
ip link set ipyproc-here up
{" ".join(INSIDE)} ip addr add {THERE}/24 dev ipyproc-there
{" ".join(INSIDE)} ip link set ipyproc-there up
{" ".join(INSIDE)} ip link set lo up
{" ".join(INSIDE)} sysctl -qw net.ipv4.tcp_retries2=5
"""
_ENDS = (((), THERE, "ipyproc-here"), (INSIDE, HERE, "ipyproc-there"))
PATIENCE = 120.0  # seconds


@contextlib.contextmanager
def network() -> Iterator[None]:
    """The other machine is there."""
    try:
        for line in _MADE.strip().splitlines():
            subprocess.run(line.split(), check=True)
        yield
    finally:
        subprocess.run(["ip", "netns", "del", NAME], check=False)


@contextlib.contextmanager
def cut() -> Iterator[None]:
    """Nothing reaches the other end."""
    for prefix, address, device in _ENDS:
        words = ["ip", "neigh", "replace", address, "lladdr", "02:00:00:00:00:99", "dev", device, "nud", "permanent"]
        subprocess.run([*prefix, *words], check=True)
    try:
        yield
    finally:
        for prefix, address, device in _ENDS:
            subprocess.run([*prefix, "ip", "neigh", "del", address, "dev", device], check=True)


async def lost_and_gone(what: str, on: Any) -> bool:
    """Cut the network of a running program; whether it is lost here and ends there."""
    marker = f"family-{secrets.token_hex(8)}"
    process = await ipyproc.start(sys.executable, "-c", "import time; time.sleep(1000)", marker, "stall", on=on)
    print(f"{what}: {process}", flush=True)

    async def gone() -> float:
        while marked(marker):
            await asyncio.sleep(0.05)
        return time.monotonic() - began

    async def lost() -> float:
        with contextlib.suppress(ipyproc.ProcessLost):
            await process.wait()
        return time.monotonic() - began

    with cut():
        began = time.monotonic()
        try:
            async with asyncio.timeout(PATIENCE):
                here, there = await asyncio.gather(lost(), gone())
        except TimeoutError:
            print(f"{what}: NOT noticed within {PATIENCE:.0f} s", flush=True)
            return False
    print(f"{what}: lost here after {here:.1f} s, gone there after {there:.1f} s", flush=True)
    return process.returncode is None


async def main() -> int:
    """Run all of them; 1 if anything is not as promised."""
    good = []
    for what, worker_host in (("dask", THERE), ("dask, through the scheduler", "127.0.0.1")):
        with (
            tempfile.TemporaryDirectory() as place,
            places.separate_cluster(Path(place), THERE, worker_host, INSIDE) as (address, _),
        ):
            on: Any = ipyproc.DaskLauncher(address)
            process = await ipyproc.start("cat", "/proc/net/dev", on=on)
            await process.wait()
            good.append(("scheduler" in process.where) == ("scheduler" in what))
            good.append("ipyproc-there" in process.log.tail(10))
            good.append(await lost_and_gone(what, on))
            await on.aclose()
    with tempfile.TemporaryDirectory(dir="/var/tmp") as place:
        Path(place).chmod(0o755)
        with places.sshd(Path(place), THERE, INSIDE) as options:
            on = ipyproc.SSHLauncher(**options)
            good.append(await lost_and_gone("ssh (tcp_retries2=5 there, 15 is usual)", on))
            await on.aclose()
    return 0 if all(good) else 1


if __name__ == "__main__":
    with network():
        sys.exit(asyncio.run(main()))
