"""What a card costs: CPU time of the kernel to make and show one, and what goes over the wire for it, in one real kernel.

.venv/bin/python benchmarks/card_cost.py [cards]
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.jupyter.kernel_session import kernel_session

TOOLS = """
import time
from ipyproc._jupyter.views.card import Card
took, made, show = [], Card.__init__, Card.show
def init(self, *args, **kwds):
    self.began = time.thread_time()
    made(self, *args, **kwds)
    self.making = time.thread_time() - self.began
def timed(self):
    began = time.thread_time()
    show(self)
    took.append(self.making + time.thread_time() - began)
Card.__init__, Card.show = init, timed
"""


def main(cards: int) -> None:
    """Prints milliseconds and kilobytes of one card, and of the code that comes once."""
    with kernel_session() as session:
        session.run(TOOLS)
        sizes: dict[str, int] = {}
        for _ in range(cards):
            done = session.run("%aproc --bg sleep 600")
            assert done.status == "ok", done.error
            for message in done.messages:
                kind, content = message["msg_type"], message["content"]
                if kind in ("comm_open", "comm_msg", "display_data"):
                    size = len(json.dumps(content, default=str)) + sum(map(len, message["buffers"]))
                    sizes[kind] = sizes.get(kind, 0) + size
        times = [1000 * seconds for seconds in session.json("took")]
        [card, *_] = session.jobs
        session.comm(card, op="code", job=session.jobs[card])
        messages = session.idle_messages(lambda m: m["content"].get("data", {}).get("content", {}).get("op") == "code")
        code = sum(map(len, messages[-1]["buffers"]))
    rest = sorted(times[1:])
    print(f"kernel CPU: first {times[0]:.1f} ms; then median {statistics.median(rest):.2f} ms, most {rest[-1]:.2f} ms")
    for kind, size in sizes.items():
        print(f"{kind}: {size / cards / 1000:.2f} kB a card")
    print(
        f"in all: {sum(sizes.values()) / cards / 1000:.2f} kB a card; the code, once for a page: {code / 1000:.1f} kB"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 50)
