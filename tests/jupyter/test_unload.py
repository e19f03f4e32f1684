"""`%unload_ext ipyproc` undoes all: the kernel is as it was before `%load_ext`."""

import json

from .conftest import PROGRAM
from .kernel_session import KernelSession, kernel_session

# what loading and using the extension could change; the packages that it imports have their own part in it, once
STATE = """
import asyncio, gc, logging, os, signal, sys, threading
import comm, ipykernel.comm, ipywidgets, nest_asyncio2, psutil, ipyproc
ip = get_ipython()

def state():
    gc.collect()
    manager = comm.get_comm_manager()
    magics = ip.magics_manager
    return {
        "line magics": sorted(magics.lsmagic()["line"]),
        "cell magics": sorted(magics.lsmagic()["cell"]),
        "magic classes": sorted(magics.registry),
        "configurables": sorted(type(each).__name__ for each in ip.configurables),
        "transformers": [repr(each) for each in (*ip.input_transformers_cleanup, *ip.input_transformers_post)],
        "ast transformers": len(ip.ast_transformers),
        "events": {name: len(found) for name, found in ip.events.callbacks.items()},
        "completers": sorted(map(str, getattr(ip.strdispatchers.get("complete_command"), "strs", ()))),
        "exceptions": repr(ip.custom_exceptions),
        "comm targets": sorted(manager.targets),
        "comms": len(manager.comms),
        "handlers": sorted(getattr(ip.kernel, "shell_handlers", ())),
        "interrupt": repr(signal.getsignal(signal.SIGINT)),
        "woken by signals": [fd := signal.set_wakeup_fd(-1), signal.set_wakeup_fd(fd)],
        "held": sorted(name for each in gc.get_objects() if (name := type(each).__name__) in
                       ("AProcMagics", "Supervisor", "Table", "LiveTable", "Card")),
        "loggers": [repr(each) for each in logging.getLogger("ipyproc").handlers],
        "threads": sorted(each.name for each in threading.enumerate()),
        "tasks": len(asyncio.all_tasks()),
        "children": [each.cmdline() for each in psutil.Process().children(recursive=True)],
        "variables": sorted(name for name in os.environ),
        "path": sys.path,
        "names": sorted(name for name in ip.user_ns if not name.startswith("_")),
    }
"""
USES = (
    "%load_ext ipyproc",
    "%aproc sleep 0.4",  # with a card
    "%aproc --bg --proc p {program} stall",
    "%aprocs",
    "items = [1, 2]",
    "%%aproc --each items\necho {item}",
    "await ipyproc.run('true')",
    "%unload_ext ipyproc",
    "await p.wait(); del p, items",
)


def of(session: KernelSession) -> dict:
    return session.json("state()")


def test_the_kernel_is_as_it_was():
    with kernel_session(load=False) as session:
        assert session.run(STATE).status == "ok"
        session.run("%load_ext no_such_extension")  # IPython makes its own magics for that when they are first used
        session.run(f"program = [sys.executable, '-I', '-S', {str(PROGRAM)!r}]")
        before, shown = of(session), set()
        for code in USES:
            done = session.run(code)
            assert done.status == "ok", code
            shown |= {card for card in done.cards if card in session.jobs}
        for card in shown:  # the page has got the transcript for it
            session.comm(card, op="bye", job=session.jobs[card])
        session.eventually("len(comm.get_comm_manager().comms)", str(before["comms"]))
        session.eventually("len(psutil.Process().children(recursive=True))", str(len(before["children"])))
        after = of(session)
    assert json.dumps(after["line magics"]).count("aproc") == 0
    assert {key: (before[key], value) for key, value in after.items() if value != before[key]} == {}


def test_a_magic_that_ipython_knows_loads_it_when_it_is_used():
    with kernel_session(load=False) as session:
        for name in ("aproc", "aprocs"):
            session.run(f"get_ipython().magics_manager.register_lazy({name!r}, 'ipyproc')")
        assert session.run("import sys; 'ipyproc' in sys.modules").value == "False"
        done = session.run("%%aproc --plain\necho lazy")
        assert (done.text(), done.value) == ("lazy\n", ""), "said once"
        assert session.run("x = %aproc echo again\nx.stdout").value == "'again\\n'"
        assert "echo lazy" in session.run("%aprocs list").text()


def test_the_cell_that_loads_it_shows_a_program_once_too():
    with kernel_session(load=False) as session:
        done = session.run("%load_ext ipyproc\nx = %aproc --plain echo one\n%aproc --plain echo two")
        assert (done.text(), done.value) == ("one\ntwo\n", "")
        assert session.run("x.stdout").value == "'one\\n'"
        session.run("%unload_ext ipyproc")
        done = session.run("%load_ext ipyproc\nget_ipython().run_line_magic('aproc', '--plain echo three').stdout")
        assert (done.text(), done.value) == ("three\n", "'three\\n'")


def test_loaded_by_a_view_and_again_by_hand():
    """`process.view()` needs the magics, and loads them; `%load_ext` after that is no second time."""
    with kernel_session(load=False) as session:
        session.run("import ipyproc; p = await ipyproc.start('true'); await p.wait(); p.view()")
        assert session.run("%load_ext ipyproc").status == "ok"
        session.run("%aproc --bg --proc q sleep 600")
        assert session.run("%unload_ext ipyproc").status == "ok"
        assert session.run("await q.wait()").value == "-15", "its programs end with it"
        left = "ip = get_ipython(); len(ip.input_transformers_post), [each for each in ip.configurables if 'AProc' in repr(each)]"
        assert session.run(left).value == "(0, [])"
