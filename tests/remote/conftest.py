"""The other machines, once for all tests of a module; and a launcher for each test, which closes what it opened."""

from __future__ import annotations

import gc
import warnings
from pathlib import Path

import pytest

import ipyproc

from . import places

HERE = Path(__file__).parent


@pytest.fixture(scope="module", autouse=True)
def sockets_of_dask():
    """Dask leaves a socket to the garbage collector when it is told to stop while it connects: that is no other test's fault."""
    yield
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "unclosed <socket.* family=2", ResourceWarning)
        gc.collect()


def pytest_collection_modifyitems(items):
    """The same for what is collected before that."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed <socket.* family=2:ResourceWarning"))


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
