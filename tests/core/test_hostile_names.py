"""A name that somebody gives a command acts nowhere: not in an error, a traceback, a repr, a log record or HTML."""

import json
import logging
import pickle
import re
import traceback

import pytest

import ipyproc
from ipyproc._core.output.screen import inert_line
from ipyproc._core.output.turns import done
from ipyproc._jupyter.views import transcript
from ipyproc.testing import Script, programs

from ..hostile import NAMES
from ..played import PLAYED

pytestmark = pytest.mark.pure

ACTS = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
FAILS = ["sh", "-c", "echo no >&2; exit 3"]


@pytest.fixture(autouse=True)
def nothing_is_started():
    """The programs are played: names are the point."""
    with programs({**PLAYED, "sh": Script(stderr="no\n", returncode=3)}):
        yield


def texts(error):
    """All that is seen of an error."""
    yield from (str(error), repr(error), *traceback.format_exception(error), *getattr(error, "__notes__", ()))


async def failed(work):
    with pytest.raises(ipyproc.ProcessError) as caught:
        await work
    again = pickle.loads(pickle.dumps(caught.value))
    return [*texts(caught.value), *texts(again)]


@pytest.mark.parametrize("kind", NAMES)
async def test_of_run_start_and_parallel(kind, caplog):
    name, seen = NAMES[kind].replace("\0", ""), []
    caplog.set_level(logging.INFO, "ipyproc")
    ended = await ipyproc.run(FAILS, name=name, check=False)
    seen += [repr(ended), ended.name, transcript.picture(ended), *await failed(ipyproc.run(FAILS, name=name))]
    piped = ipyproc.run(FAILS, name=name, check=False).pipe("cat", name=name)
    seen += [repr(await piped), *await failed(ipyproc.run("true", name=name).pipe(FAILS, name=name))]
    seen += await failed(ipyproc.run("sleep", "60", name=name, timeout=0.01))
    async with await ipyproc.start("sleep", "60", name=name) as process:
        seen += [repr(process), process.name, *(repr(each) for each in ipyproc.processes())]
        process.name = f"{name}!"
        seen += [repr(process), process.name, *done(transcript.bundle(process, None)).values()]
        await process.stop(0)
    batch = ipyproc.parallel({name: FAILS, f"{name}!": FAILS}, on_failure="finish")
    seen += await failed(batch)
    seen += [text for job in batch.jobs for text in (repr(job), job.name, job.outcome)]
    results = await ipyproc.parallel([(name, FAILS)], check=False)
    seen += [text for each in results for text in (repr(each), each.name)]
    seen += [record.getMessage() for record in caplog.records]
    for text in seen:
        assert not ACTS.search(text), text
    shown = inert_line(name)
    assert process.name == inert_line(f"{name}!") and [job.name for job in batch.jobs][:1] == [
        shown or "sh -c 'echo no >&2; exit 3'"
    ]


async def test_in_the_job_log(tmp_path):
    path = tmp_path / "jobs.jsonl"
    await ipyproc.parallel({"a\x1b]0;t\x07\u202e\nb": ["true"]}, resume=path)
    assert json.loads(path.read_text())["name"] == "a<U+202E> ⏎ b"
    (again,) = await ipyproc.parallel({"another": ["true"]}, resume=path)
    assert again.earlier, "the commands are compared, and not their names"


async def test_a_name_is_a_string():
    async with await ipyproc.start("sleep", "60") as process:
        with pytest.raises(TypeError, match="name=3: allowed is a string"):
            process.name = 3
        await process.stop(0)
