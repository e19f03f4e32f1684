"""Start a program with the launcher that a test is about, as asyncio's factory would."""

from dataclasses import replace

from ipyproc import Process
from ipyproc._core.launch.base import Launcher
from ipyproc._core.process.start import start
from ipyproc._core.program.spec import Spec


async def start_exec(launcher: Launcher, *words, stdin=None, stdout=None, stderr=None, log=None, **keywords) -> Process:
    keywords.pop("start_new_session", None)  # it has one always
    checked = Spec.of("-", stdin=stdin, stdout=stdout, stderr=stderr, **keywords)
    spec = replace(checked, args=words)  # unchecked, as what is wrong with them has to be met
    return await start(spec, launcher, **({"make_log": lambda streams: log} if log else {}))
