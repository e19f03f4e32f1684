"""Ports for servers that must be told theirs."""

from __future__ import annotations

import contextlib
import random
import socket


def free_port() -> int:
    """One on which nobody listens, and which the system gives to nobody who asks for any: those begin at 32768 on Linux."""
    while True:
        port = random.randrange(20_000, 32_000)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
