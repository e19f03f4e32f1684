"""A connection of each event loop: opened once, and closed with the loop, whenever that is."""

import asyncio
import contextlib
import gc
import weakref

import pytest

from ipyproc._remote.connections import Connections


@pytest.fixture
def opened():
    """The connections that are open."""
    return []


@pytest.fixture
def connections(opened):
    @contextlib.asynccontextmanager
    async def connect():
        await asyncio.sleep(0)
        opened.append(object())
        try:
            yield opened[-1]
        finally:
            opened.pop()

    return Connections(connect)


def test_the_end_of_a_loop_is_that_of_its_connection_and_nothing_holds_the_loop(connections, opened):
    async def main():
        loops.append(weakref.ref(asyncio.get_running_loop()))
        one, other = await asyncio.gather(connections.get(), connections.get())
        assert one is other and [one] == opened

    loops = []
    for _ in range(2):
        asyncio.run(main())
        assert opened == []
    gc.collect()
    assert [loop() for loop in loops] == [None, None]


@pytest.mark.parametrize("turns", range(4))
async def test_closed_while_it_is_opened(connections, opened, turns):
    waiting = asyncio.ensure_future(connections.get())
    for _ in range(turns):
        await asyncio.sleep(0)
    await connections.aclose()
    if waiting.done() or turns:
        done = await asyncio.wait_for(asyncio.gather(waiting, return_exceptions=True), 10)
        assert turns == 3 or "closed while it was opened" in str(done[0])
        assert opened == []
    else:
        await waiting  # it was not even asked for
    await connections.aclose()
    assert opened == []


async def test_one_that_could_not_be_opened_is_tried_again():
    @contextlib.asynccontextmanager
    async def connect():
        tries.append(1)
        if len(tries) == 1:
            raise ConnectionRefusedError("not now")
        yield len(tries)

    tries = []
    connections = Connections(connect)
    with pytest.raises(ConnectionRefusedError, match="not now"):
        await connections.get()
    assert await connections.get() == 2
    connections.forget(2)
    assert await connections.get() == 3
    await connections.aclose()
