"""The event loop goes on in every kind of cell, whatever a program writes; the long version is `tests.campaigns.gaps`."""

import pytest

from ..campaigns import gaps

pytestmark = pytest.mark.pure

LOOSE = 0.25  # seconds of CPU; half of an ordinary machine's would be enough, and without turns it was up to a minute


@pytest.mark.parametrize("name", ["inserts before 9,000 styles", "returns in lines", "one line of styles"])
def test_the_event_loop_goes_on(kernel, tmp_path, name):
    path = tmp_path / "output"
    path.write_bytes(gaps.OWN[name][: gaps.SIZE // 2])
    kernel.run(gaps.TICK)
    kernel.run("%aproc sh -c 'echo what is loaded late; sleep 0.3'")
    found = {way: gaps.measure(kernel, way, path) for way in gaps.WAYS}
    kernel.run("ticking.cancel()")
    print(*(f"{way}: {gap * 1000:.0f} ms ({took:.1f} s)" for way, (gap, took) in found.items()), sep=", ")
    assert max(gap for gap, _ in found.values()) < LOOSE
