"""Debian's Firefox, driven by playwright through WebDriver BiDi: no browser has to be downloaded, nor a driver for it.

playwright has its own protocol for the Firefox that it builds, and BiDi, the W3C's, for all others. It asks each new page for
its colour scheme with a command that Firefox ESR 153 does not know, and takes the refusal for a failure. So this file, as a
program, stands between the two: it starts Firefox, passes everything on, and answers that one question itself.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Playwright
    from websockets.asyncio.server import ServerConnection

FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")
UNKNOWN = "emulation.setMediaFeaturesOverride"
PREFERENCES = {
    "ui.prefersReducedMotion": 1,
    "browser.download.alwaysOpenPanel": False,  # it would have the keys
    "app.normandy.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "dom.events.testing.asyncClipboard": True,  # a test reads what a click has copied, and is asked nothing
}


@contextmanager
def firefox(playwright: Playwright) -> Iterator[Browser]:
    """Debian's Firefox, headless."""
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder, "firefox")
        program.write_text(f"#!/bin/sh\nexec '{sys.executable}' '{__file__}' '{FIREFOX}' \"$@\"\n")
        program.chmod(0o755)
        browser = playwright.firefox.launch(
            channel="moz-firefox", executable_path=program, firefox_user_prefs=PREFERENCES
        )
        yield browser
        browser.close()


async def main(words: list[str]) -> int:
    """Start Firefox with these words, and stand between it and playwright until it ends."""
    from websockets.asyncio.client import connect
    from websockets.asyncio.server import serve

    started = await asyncio.create_subprocess_exec(*words, stderr=asyncio.subprocess.PIPE)
    assert started.stderr
    address = ""
    while not address and (line := (await started.stderr.readline()).decode()):
        found = re.search(r"WebDriver BiDi listening on (ws://\S+)", line)
        address = found[1] if found else ""
        sys.stderr.write("" if found else line)

    async def relay(client: ServerConnection) -> None:
        async with connect(f"{address}/session", max_size=None, compression=None) as browser:

            async def answer() -> None:
                async for message in browser:
                    await client.send(message)

            answers = asyncio.create_task(answer())
            async for message in client:
                asked = json.loads(message)
                if asked["method"] == UNKNOWN:
                    await client.send(json.dumps({"type": "success", "id": asked["id"], "result": {}}))
                else:
                    await browser.send(message)
            answers.cancel()

    async with serve(relay, "127.0.0.1", 0, max_size=None, compression=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        print(f"WebDriver BiDi listening on ws://127.0.0.1:{port}", file=sys.stderr, flush=True)
        async for line in started.stderr:
            sys.stderr.buffer.write(line)
    return await started.wait()


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
