"""The program that the tests start, `program.py`, and some others, as fake ones: see there what the words mean."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from ipyproc.testing import FakeProgram, Script


async def program(played: FakeProgram) -> int:
    """The words that a fake program can have."""
    words = list(played.args[4:])
    while words:
        word = words.pop(0)
        if word == "out":
            await played.stdout.write(f"{words.pop(0)}\n")
        elif word == "err":
            await played.stderr.write(f"{words.pop(0)}\n")
        elif word == "raw":
            await played.stdout.write(bytes.fromhex(words.pop(0)))
        elif word == "lines":
            await played.stdout.write("".join(f"line {number}\n" for number in range(int(words.pop(0)))))
        elif word == "cat":
            await played.stdout.write(await played.stdin.read())
        elif word == "env":
            env = os.environ if played.env is None else played.env
            await played.stdout.write(f"{env.get(words.pop(0))}\n")
        elif word == "ignore":
            played.on_signal(signal.Signals["SIG" + words.pop(0)], lambda: None)
        elif word == "stall":
            await asyncio.Event().wait()
        elif word == "sleep":
            await asyncio.sleep(float(words.pop(0)))
        elif word == "close":
            played.stdout.close()
            played.stderr.close()
        elif word == "exit":
            return int(words.pop(0))
        else:
            raise ValueError(f"a fake program does not know the word {word!r}")
    return 0


async def echo(played: FakeProgram) -> None:
    """As the program of this name."""
    await played.stdout.write(b" ".join(map(os.fsencode, played.args[1:])) + b"\n")


async def cat(played: FakeProgram) -> None:
    """As the program of this name, without arguments."""
    await played.stdout.write(await played.stdin.read())


async def sleep(played: FakeProgram) -> None:
    """As the program of this name."""
    await asyncio.sleep(float(played.args[1]))


PLAYED = {
    os.path.basename(sys.executable): program,
    "cat": cat,
    "echo": echo,
    "false": Script(returncode=1),
    "sleep": sleep,
    "true": Script(),
}
