"""The other machines, once for all tests of a module; and a launcher for each test, which closes what it opened."""

from __future__ import annotations

import pytest

import ipyproc

from . import places


@pytest.fixture(scope="session")
def cluster():
    with places.cluster(2) as (address, _):
        yield address


@pytest.fixture(scope="session")
def sshd(tmp_path_factory):
    if not places.SSHD:
        pytest.skip("needs sshd")
    place = tmp_path_factory.mktemp("sshd")
    place.chmod(0o755)
    with places.sshd(place) as options:
        yield options


@pytest.fixture(params=["dask", "ssh"])
async def on(request):
    """Each place in turn."""
    if request.param == "dask":
        launcher = ipyproc.DaskLauncher(request.getfixturevalue("cluster"))
    else:
        launcher = ipyproc.SSHLauncher(**request.getfixturevalue("sshd"))
    yield launcher
    await launcher.aclose()
