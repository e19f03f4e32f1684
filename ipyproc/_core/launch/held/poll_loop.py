"""A small event loop for supervisors and shims, with methods named like those of asyncio, which is a large import."""

from __future__ import annotations

import heapq
import itertools
import select
import time
from collections.abc import Callable

Callback = Callable[[], object]


class PollLoop:
    """Calls back when a descriptor can be read or written, or when a timer is due."""

    def __init__(self) -> None:
        self._epoll = select.epoll()  # returns first what was ready first, unlike poll
        self._readers: dict[int, Callback] = {}
        self._writers: dict[int, Callback] = {}
        self._registered: set[int] = set()
        self._timers: list[tuple[float, int, Callback]] = []
        self._numbers = itertools.count()  # so that timers of the same moment keep their order

    def __repr__(self) -> str:
        return f"<PollLoop of {len(self._readers)} readers and {len(self._timers)} timers>"

    def fileno(self) -> int:
        """The descriptor of the loop itself."""
        return self._epoll.fileno()

    def add_reader(self, fd: int, callback: Callback, /) -> None:
        """Call `callback` whenever the descriptor can be read, or has reached its end."""
        self._readers[fd] = callback
        self._register(fd)

    def remove_reader(self, fd: int, /) -> None:
        """Undo `add_reader`, if it was called."""
        if self._readers.pop(fd, None):
            self._register(fd)

    def add_writer(self, fd: int, callback: Callback, /) -> None:
        """Call `callback` whenever the descriptor can be written."""
        self._writers[fd] = callback
        self._register(fd)

    def remove_writer(self, fd: int, /) -> None:
        """Undo `add_writer`, if it was called."""
        if self._writers.pop(fd, None):
            self._register(fd)

    def call_later(self, delay: float, callback: Callback, /) -> None:
        """Call `callback` once, after `delay` seconds."""
        heapq.heappush(self._timers, (time.monotonic() + delay, next(self._numbers), callback))

    def cancel_timers(self) -> None:
        """Undo every `call_later`."""
        self._timers.clear()

    def run_once(self, longest: float) -> None:
        """Wait until something happens, at most `longest` seconds, and call back."""
        if self._timers:
            longest = max(0.0, min(longest, self._timers[0][0] - time.monotonic()))
        for fd, events in self._epoll.poll(longest):
            # looked up now, because an earlier callback may have removed it
            if events & ~select.EPOLLOUT and (reader := self._readers.get(fd)):
                reader()
            if events & ~select.EPOLLIN and (writer := self._writers.get(fd)):
                writer()
        while self._timers and self._timers[0][0] <= time.monotonic():
            heapq.heappop(self._timers)[2]()

    def _register(self, fd: int) -> None:
        events = (fd in self._readers) * select.EPOLLIN | (fd in self._writers) * select.EPOLLOUT
        if not events:
            self._epoll.unregister(fd)
        elif fd in self._registered:
            self._epoll.modify(fd, events)
        else:
            self._epoll.register(fd, events)
        self._registered = {*self._readers, *self._writers}
