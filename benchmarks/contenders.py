"""Who is compared: what is written in the cell, and what becomes of the output there. Contracts differ."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

WRITER = (sys.executable, "-I", "-S", str(Path(__file__).with_name("writer.py")))
OURS, OURS_PYTHON = "%%aproc", "ipyproc.LOG"


@dataclass(frozen=True)
class Contender:
    """A cell, with places for the program (`command`, `argv`); and what it does with the output."""

    cell: str
    contract: str


CONTENDERS = {
    OURS: Contender("%%aproc --proc process\n{command}", "log on disk; shows the last rows, then head and tail"),
    OURS_PYTHON: Contender(
        "process = await ipyproc.create_subprocess_exec(*{argv}, stdout=ipyproc.LOG)\nawait process.wait();",
        "log on disk; shows nothing",
    ),
    "asyncio read(64 KiB)": Contender("await read_pieces({argv})", "keeps nothing; shows nothing"),
    "asyncio read(64 KiB) > file": Contender("await read_into_file({argv})", "file on disk; shows nothing"),
    "asyncio by lines": Contender("await read_lines({argv})", "keeps nothing; shows nothing"),
    "asyncio, print(line)": Contender("await read_lines({argv}, print_line)", "shows all"),
    "subprocess.run": Contender("done = subprocess.run({argv}, capture_output=True)", "in memory; shows nothing"),
    "x = !cmd": Contender("x = !{command}", "lines in memory; shows nothing"),
    "os.system": Contender("os.system({command!r});", "shows all"),
    "!cmd": Contender("!{command}", "shows all"),
    "%%bash": Contender("%%bash\n{command}", "shows all"),
}


TOOLS = """
import asyncio, json, os, subprocess, time, ipyproc
from asyncio.subprocess import PIPE

async def read_pieces(argv, take=len):
    process = await asyncio.create_subprocess_exec(*argv, stdout=PIPE)
    while data := await process.stdout.read(65536):
        take(data)
    await process.wait()

async def read_into_file(argv):
    with open({folder!r} + "/asyncio", "wb", buffering=0) as file:
        await read_pieces(argv, file.write)

async def read_lines(argv, take=len):
    process = await asyncio.create_subprocess_exec(*argv, stdout=PIPE)
    async for line in process.stdout:
        take(line)
    await process.wait()

def print_line(line):
    print(line.decode(), end="", flush=True)

async def tick():
    while True:
        ticks.append(time.monotonic())
        await asyncio.sleep(0.001)

def echo(comm, opened):
    comm.on_msg(lambda message: comm.send(message["content"]["data"]))

get_ipython().kernel.comm_manager.register_target("echo", echo)
os.getpid()
"""


def cell(name: str, words: str) -> str:
    """What this contender writes to run the program with these words; an unknown one does nothing."""
    return filled(CONTENDERS[name].cell if name in CONTENDERS else "pass", words)


def filled(code: str, words: str) -> str:
    """This code with the program in it."""
    argv = [*WRITER, *words.split()]
    return code.format(argv=argv, command=" ".join(argv))
