"""A real kernel, what a cell costs in it, and a client that takes its messages as a page would."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import queue
import re
import select
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from tests.jupyter.kernel_session import KernelSession, kernel_session

from .contenders import TOOLS

_STAMP = re.compile(rb"@(\d+);")


@dataclass
class Sample:
    """One run of one contender."""

    seconds: float
    late: bool = False  # it had not finished by then
    cpu: float = 0.0
    memory: int = -1  # not measured
    messages: int = 0
    size: int = 0
    gaps: list[float] = field(default_factory=list)  # of a ticker in the kernel's event loop
    delays: list[float] = field(default_factory=list)  # from a write of the program to the client


class Kernel:
    """A kernel, its costs, and a client that takes its messages as a page would."""

    def __init__(self, folder: Path) -> None:
        self._running = kernel_session()
        self.session = self._running.__enter__()
        self.client = self.session.client
        done = self.session.run(TOOLS.format(folder=str(folder)))
        assert done.status == "ok", done.error
        self.pid = int(done.value)

    @property
    def cpu(self) -> float:
        """Seconds that all its threads took, exactly: the clock of another process (clock_getcpuclockid(3))."""
        return time.clock_gettime((~self.pid << 3) | 2)

    def memory(self, name: str) -> int:
        """VmRSS or VmHWM of its status, and the files in memory that it has open."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(rf"{name}:\s+(\d+) kB", status)
        assert found
        return int(found[1]) * 1024 + self._files_in_memory()

    def _files_in_memory(self) -> int:
        size = 0
        for fd in os.listdir(f"/proc/{self.pid}/fd"):
            path = f"/proc/{self.pid}/fd/{fd}"
            with contextlib.suppress(OSError):
                if os.readlink(path).startswith(("/memfd:", "/dev/shm/")):
                    size += os.stat(path).st_blocks * 512
        return size

    def run(self, code: str, cap: float) -> Sample:
        """Run a cell; one that does not end in time is left behind with its kernel."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")  # proc(5): resets VmHWM
        memory, cpu, started = self.memory("VmRSS"), self.cpu, time.monotonic()
        sample = Sample(cap)
        request = self.client.execute(code)
        for message in self._messages(started + cap, sample):
            ours = message["parent_header"].get("msg_id") == request
            if ours and message["content"].get("execution_state") == "idle":
                break
            assert not (ours and message["msg_type"] == "error"), message["content"]
        else:
            sample.late = True
        sample.seconds = time.monotonic() - started
        sample.cpu = self.cpu - cpu
        sample.memory = max(sample.memory, self.memory("VmHWM")) - memory
        if not sample.late:
            self.client.get_shell_msg(timeout=10)
        return sample

    def _messages(self, deadline: float, sample: Sample) -> Iterator[dict[str, Any]]:
        """All messages up to this time, counted."""
        looked_at = last = 0.0
        while (now := time.monotonic()) < deadline:
            if now - looked_at > 0.05:
                sample.memory, looked_at = max(sample.memory, self.memory("VmRSS")), now
            try:
                message = self.client.get_iopub_msg(timeout=0.05)
            except queue.Empty:
                continue
            arrived = time.monotonic_ns()
            if message["msg_type"] not in ("status", "execute_input"):
                text = _bytes(message)
                sample.messages += 1
                sample.size += len(text)
                for stamp in _STAMP.findall(text):
                    if int(stamp) > last:
                        last = int(stamp)
                        sample.delays.append((arrived - last) / 1e9)
            self.session.answer(message, "page")
            yield message

    def run_with_ticker(self, code: str, cap: float) -> Sample:
        """The same, with a task in the kernel's event loop that wants to run each millisecond."""
        self.session.run("ticks = []; ticker = asyncio.get_running_loop().create_task(tick())")
        started = time.monotonic()
        sample = self.run(code, cap)
        ended = time.monotonic()
        if not sample.late:
            ticks = json.loads(self.session.run("ticker.cancel(); json.dumps(ticks)").value.strip("'"))
            sample.gaps = [
                after - before for before, after in itertools.pairwise(ticks) if after > started and before < ended
            ]
        return sample

    def close_cards(self) -> None:
        """What a page does where a card has given way to the transcript."""
        for card, job in self.session.jobs.items():
            self.session.comm(card, op="bye", job=job)
        self.session.jobs.clear()

    @property
    def dead(self) -> bool:
        """Whether it was killed."""
        return not self.session.manager.has_kernel

    def kill(self) -> None:
        """End the kernel and what it has started."""
        if self.dead:
            return
        children = psutil.Process(self.pid).children(recursive=True)
        self.session.manager.shutdown_kernel(now=True)
        for child in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        self._running.__exit__(None, None, None)


def _bytes(message: dict[str, Any]) -> bytes:
    """What a message carries, about as it travels."""
    content = message["content"]
    text = content["text"] if message["msg_type"] == "stream" else json.dumps(content, default=str)
    return text.encode() + b"".join(map(bytes, message["buffers"]))


def echoes(kernel: Kernel, seconds: float) -> Sample:
    """Round trips through a comm of our own, which no rate limit of a card holds up."""
    session, client = kernel.session, kernel.client
    time.sleep(0.3)
    _send(session, "comm_open", {"comm_id": "echo", "target_name": "echo", "data": {}})
    sample = Sample(seconds)
    cpu, end = kernel.cpu, time.monotonic() + seconds
    while (started := time.monotonic()) < end:
        _send(session, "comm_msg", {"comm_id": "echo", "data": {"sent": started}})
        while True:
            message = client.get_iopub_msg(timeout=10)
            session.answer(message, "page")
            if message["content"].get("comm_id") == "echo":
                break
        sample.delays.append(time.monotonic() - started)
        time.sleep(0.005)
    sample.cpu = kernel.cpu - cpu
    return sample


def _send(session: KernelSession, kind: str, content: dict[str, Any]) -> None:
    session.client.shell_channel.send(session.client.session.msg(kind, content))


def stop_once(kernel: Kernel, code: str) -> tuple[float, float]:
    """Press Stop in the card of this cell; seconds to the program's end, and to the end of the cell."""
    session, client = kernel.session, kernel.client
    request = client.execute(code)
    pid, sent, ended = 0, 0.0, 0.0
    while True:
        message = client.get_iopub_msg(timeout=10)
        session.answer(message, "page")
        content = message["content"]
        pid = pid or content.get("data", {}).get("state", {}).get("shown", {}).get("pid", 0)
        if pid and not sent and message["buffers"]:  # the first rows are there
            time.sleep(0.1)
            [(card, job)] = session.jobs.items()
            with _opened(os.pidfd_open(pid)) as pidfd:
                sent = time.monotonic()
                session.comm(card, op="stop", job=job)
                select.select([pidfd], [], [])
                ended = time.monotonic()
        elif content.get("execution_state") == "idle" and message["parent_header"].get("msg_id") == request:
            break
    idle = time.monotonic()
    client.get_shell_msg(timeout=10)
    kernel.close_cards()
    return ended - sent, idle - sent


@contextlib.contextmanager
def _opened(fd: int) -> Iterator[int]:
    try:
        yield fd
    finally:
        os.close(fd)
