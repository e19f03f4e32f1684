"""The only room that touches private parts of IPython and ipykernel. Each use says in which versions it was seen."""

from __future__ import annotations

import asyncio
import contextlib
import re
import sys
import threading
from collections.abc import AsyncIterator, Callable, Collection, Coroutine
from typing import Any, TypeVar

from IPython import get_ipython
from IPython.core.displaypub import CapturingDisplayPublisher
from IPython.core.interactiveshell import InteractiveShell

from .._core import launch
from .._core.batch.work import wait

T = TypeVar("T")

_COMM_PERIOD = 0.02  # seconds
_FIRST_STREAMS = sys.stdout, sys.stderr  # where there is no ipykernel
_OF_JUPYTER_CLIENT = re.compile(r"[0-9a-f]{8}-[0-9a-f]{24}_\d+_\d+")


def is_headless(shell: InteractiveShell) -> bool:
    """Whether nobody can click here: a terminal, or a run by nbclient or papermill (they forbid input)."""
    if getattr(shell, "kernel", None) is None:
        return True
    # nbclient 0.11 sends allow_stdin=False with each cell; ipykernel takes a cell without it (ipyparallel 9.2) as False too
    request = _request(shell)
    is_cell = request.get("header", {}).get("msg_type") == "execute_request"  # and not what a button has called
    return not request.get("content", {}).get("allow_stdin", not is_cell)


def session_of(shell: InteractiveShell) -> str:
    """The session of the client whose cell runs now; empty where there is none."""
    return str(_request(shell).get("header", {}).get("session", ""))


def is_python_client(shell: InteractiveShell) -> bool:
    """Whether a client that is written in Python, with jupyter_client, runs this cell (6 to 8.10 seen).

    Those are `jupyter console`, qtconsole, Spyder, euporie, and servers that run the cells of a page themselves: they show
    text, but no widgets, and many pass over `update_display_data`. A page numbers its messages otherwise.
    """
    return _OF_JUPYTER_CLIENT.fullmatch(str(_request(shell).get("header", {}).get("msg_id", ""))) is not None


def request_id() -> str:
    """The request whose cell gets what is displayed now; empty where there is none.

    In a task that goes on after its cell this is still the task's own cell, but not with ipykernel 6 (6.29 to 6.31 seen):
    there it is the last request of all, which may be a message of a widget.
    """
    shell = get_ipython()
    return str(_request(shell).get("header", {}).get("msg_id", "")) if shell else ""


def can_await(shell: InteractiveShell) -> bool:
    """Whether a cell may await: an engine of ipyparallel (9.2 seen) never ends one that does."""
    return not any(each.__module__.startswith("ipyparallel.") for each in type(getattr(shell, "kernel", None)).__mro__)


def _request(shell: InteractiveShell) -> dict[str, Any]:
    """The request that the code which runs now belongs to. Public in ipykernel 6.29 to 7.4; empty where there is none."""
    kernel = getattr(shell, "kernel", None)
    if kernel is None:
        return {}
    try:
        found = kernel.get_parent("shell")
    except TypeError:  # xeus-python 0.19 has no channels to choose from
        found = kernel.get_parent()
    return found if isinstance(found, dict) else {}


def drops_late_output(shell: InteractiveShell) -> bool:
    """Whether output for a cell that has ended is lost, as in a run by nbclient or papermill (0.11 and 2.7 seen)."""
    return getattr(shell, "kernel", None) is not None and is_headless(shell)


def is_own_stream(file: object) -> bool:
    """Whether this file leads to the cell, rather than being a replacement of `sys.stdout` that captures the text."""
    out_stream = getattr(sys.modules.get("ipykernel.iostream"), "OutStream", ())  # public, ipykernel 6.29 to 7.4
    first = (*_FIRST_STREAMS, sys.__stdout__, sys.__stderr__)
    return isinstance(file, out_stream) or any(file is each for each in first)


def note(text: str) -> None:
    """Write a line of ipyproc's own into the cell, but never into a file that captures output."""
    for file in (sys.stdout, sys.stderr):
        if is_own_stream(file):
            file.write(f"{text}\n")
            file.flush()
            break


def captures_displays(shell: InteractiveShell) -> bool:
    """Whether `%%capture` or the like captures what is displayed now, so that it reaches no page."""
    return isinstance(shell.display_pub, CapturingDisplayPublisher)


def is_in_output_widget(shell: InteractiveShell) -> bool:
    """Whether an ipywidgets Output captures what is shown now. It shows text and displays, but ignores updates of a display."""
    output = getattr(sys.modules.get("ipywidgets"), "Output", ())
    widgets = getattr(sys.modules.get("ipywidgets.widgets.widget"), "_instances", {})  # ipywidgets 8 (8.1 seen)
    outputs = [each for each in list(widgets.values()) if isinstance(each, output)]
    if not outputs:
        return False
    request = _request(shell).get("header", {}).get("msg_id")
    return any(each.msg_id == request for each in outputs)


def is_apart() -> bool:
    """Whether this is a thread of the user's own: messages of the page are handled in another one, which may be waiting for this."""
    thread = threading.current_thread()
    subshell = getattr(sys.modules.get("ipykernel.subshell"), "SubshellThread", ())  # ipykernel 7 (7.4 seen)
    return thread is not threading.main_thread() and not isinstance(thread, subshell)


def has_running_loop() -> bool:
    """Whether an event loop runs in this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


@contextlib.asynccontextmanager
async def deliver_comms(shell: InteractiveShell) -> AsyncIterator[None]:
    """While the body is awaited, let messages of widgets through to their handlers.

    ipykernel 7 does so by itself. ipykernel 6 (6.29 to 6.31 seen) keeps every message of the shell channel in
    `kernel.msg_queue` until the cell has ended: there the comm messages are taken out and handled; the order of all
    other messages stays.
    """
    kernel = getattr(shell, "kernel", None)
    queue = None if is_apart() else _message_queue(kernel)
    if queue is None:
        yield
        return
    delivering = asyncio.get_running_loop().create_task(_deliver(kernel, queue))
    try:
        yield
    finally:
        delivering.cancel()
        await asyncio.wait([delivering])


def _message_queue(kernel: Any) -> Any:
    return getattr(getattr(kernel, "msg_queue", None), "_queue", None) if hasattr(kernel, "shell_handlers") else None


def has_unheard(shell: InteractiveShell) -> bool:
    """Whether messages wait for the cell to end, one of a page perhaps among them: see `deliver_comms`."""
    return bool(_message_queue(getattr(shell, "kernel", None)))


async def _deliver(kernel: Any, queue: Any) -> None:
    while True:
        await asyncio.sleep(_COMM_PERIOD)
        for item in list(queue):
            with contextlib.suppress(Exception):  # anything that does not look like a message is left to the kernel
                _, _, (message, *_) = item  # (number, dispatch function, its arguments)
                idents, frames = kernel.session.feed_identities(message, copy=False)
                if not kernel.session.unpack(frames[1].bytes)["msg_type"].startswith("comm_"):
                    continue
                queue.remove(item)
                request = kernel.session.deserialize(frames, content=True, copy=False)
                kernel.shell_handlers[request["msg_type"]](kernel.shell_stream, idents, request)


_ROUTE = "_reply_subshell_for"  # ipykernel 7 (7.4 seen): the method of a comm that says which shell gets a message


def receive_early(comm: Any, handler: Callable[[Any], object]) -> None:
    """Call `handler` with the data of each message to this comm as soon as it arrives, also while a cell keeps the kernel busy.

    ipykernel 7 asks the comm which shell gets a message, in the thread that reads the shell channel: `handler` is called
    there. The message is then delivered as usual, so the comm's own handler gets it a second time. With other kernels
    this does nothing.
    """
    route = getattr(comm, _ROUTE, None)
    if route is None:
        return

    def handle_and_route(data: Any, *default: Any) -> Any:
        with contextlib.suppress(Exception):  # with an error here, ipykernel would lose the message
            handler(data)
        return route(data, *default)

    setattr(comm, _ROUTE, handle_and_route)


def receives_while_nested(shell: InteractiveShell) -> bool:
    """Whether `receive_early` or `deliver_comms` gets messages of the page while `run_synchronously` runs the loop."""
    kernel = getattr(shell, "kernel", None)
    comms = getattr(sys.modules.get("ipykernel.comm.comm"), "BaseComm", None)
    early = getattr(kernel, "shell_channel_thread", None) is not None and hasattr(comms, _ROUTE)
    return early or _message_queue(kernel) is not None


def run_synchronously(
    shell: InteractiveShell,
    work: Coroutine[Any, Any, T],
    clean_up: Callable[[], Coroutine[Any, Any, None]] = launch.disconnect,
) -> T:
    """Run a coroutine to its end from plain code, on the event loop of this thread.

    A loop that is running already (in a cell of a kernel) is made re-entrant by nest_asyncio2 when this is first called.
    That is the maintained successor of nest_asyncio, and what ipykernel 7.4 itself requires (nest_asyncio 1.6 loses
    queued cells there).

    A thread of the user's own has no loop: it gets a temporary one, on which `clean_up` is run at the end. The kernel's
    loop cannot be used, because the kernel may be waiting for this thread.

    Raises:
        RuntimeError: the loop cannot be made re-entrant (uvloop).
    """
    if not has_running_loop():
        if is_apart():
            return wait(work, clean_up)
        from IPython.core.async_helpers import get_asyncio_loop  # private, IPython 8.20 to 9.18: the loop of its cells

        own: asyncio.AbstractEventLoop = get_asyncio_loop()
        return own.run_until_complete(work)
    import nest_asyncio2  # late: it patches asyncio, so it is loaded only where it is needed

    loop = asyncio.get_running_loop()
    try:
        nest_asyncio2.apply(loop)
    except ValueError as error:
        work.close()
        raise RuntimeError(f"{error}; a program cannot be waited for here without `await`") from None
    task = loop.create_task(work)
    try:
        return loop.run_until_complete(task)
    except BaseException:
        task.cancel()  # an unhandled interrupt has stopped the loop: the task must not go on when the loop runs again
        raise


def remove_completers(shell: InteractiveShell, keys: Collection[str]) -> None:
    """Undo `shell.set_hook("complete_command", ..., str_key=key)`, for which IPython (8.20 to 9.18) has no way."""
    dispatcher = getattr(shell, "strdispatchers", {}).get("complete_command")
    for key in keys:
        getattr(dispatcher, "strs", {}).pop(key, None)
