"""Pictures of card, transcript, table and jobs in every state: light, dark, high contrast, from 300 to 1500 px, at 80 % and at 150 %.

.venv/bin/python -m tests.browser.gallery DIRECTORY
"""

from __future__ import annotations

import sys
from pathlib import Path

from playwright.sync_api import Page, expect

from ipyproc._core.output.screen import Row
from ipyproc._jupyter.page import messages
from ipyproc._jupyter.views import transcript
from ipyproc._jupyter.views.state import State

from .lab import chromium
from .test_log_body import DARK, LIGHT, STATIC

STATES = r"""
const encode = (text) => new DataView(new TextEncoder().encode(text).buffer);
const plain = { version: VERSION, job: 'job', note: '', pid: 48121, folded: false, line: false, ends: true, sent: '', elapsed: 84, sent_ago: 0, next_in: null, pauses: true, stdin: false, notifies: false, ended: '' };
window.told = [];
window.shown = [];
const epochs = ['1epoch 3/10  loss 0.412  acc 0.861', '1epoch 4/10  loss 0.377  acc 0.874',
  '5UserWarning: 2 images could not be decoded, skipped', '1epoch 5/10  loss 0.351  acc 0.882  \x1b[0;32mbest\x1b[0m',
  '1epoch 6/10  \x1b[0;36m━━━━━━━━━━━━━━━━━━━━━\x1b[0m\x1b[0;2m━━━━━━━━\x1b[0m  71%  0:00:12'];
const figures = (cpu, memory, count) => ({ op: 'figures', cpu, memory, count });
const history = (elapsed, cpu, memory) => ({ op: 'history', elapsed, cpu, memory });
window.states = [
  [{ name: 'running', label: 'Running', title: 'sleep 600', elapsed: 0.4 }, [], []],
  [{ name: 'running', label: 'Running', title: 'python train.py --epochs 10 --data /mnt/imagenet --lr 3e-4 --amp' }, epochs,
    [figures(387, 2.1e9, 9), history([8, 16, 25, 33, 42, 50, 58, 67, 75, 84],
      [38, 391, 402, 287, 399, 310, 395, 401, 350, 387], [2, 5, 8, 12, 17, 21, 21, 21, 21, 21].map((each) => each * 1e8))], 0.571],
  [{ name: 'running', label: 'Running', title: 'python -m pdb script.py', elapsed: 8, stdin: true },
    ['1> /work/script.py(1)<module>()', '1-> import json', '1(Pdb) '], [figures(0, 12.4e6, 1)]],
  [{ name: 'running', label: 'Running', title: 'ssh-add', elapsed: 8, stdin: true }, ['2Enter passphrase: '], []],
  [{ name: 'closed', label: 'Running, output closed', title: 'server --daemon', elapsed: 301 }, ['1listening'], []],
  [{ name: 'paused', label: 'Paused', title: 'make -j8 all', elapsed: 301 }, ['1cc -O2 -c src/parse.c'], [figures(0, 312e6, 9)]],
  [{ name: 'stopping', label: 'Stopping (SIGTERM sent)', title: 'ffmpeg -i in.mov -c:v libx264 out.mp4', sent: 'SIGTERM',
    elapsed: 31, sent_ago: 3, next_in: 2 }, [], [figures(181, 412e6, 2), history([10, 20, 30], [190, 170, 181], [3e8, 412e6, 412e6])]],
  [{ name: 'ok', label: 'Done, exit 0', title: 'pip download numpy', elapsed: 2.4 }, ['1Saved ./numpy-2.4.0.whl'], []],
  [{ name: 'failed', label: 'Failed, exit 2', title: 'make -j8 all', elapsed: 12.9 },
     ['1cc -O2 -c src/parse.c', "8src/parse.c:118:9: error: use of undeclared identifier 'tok'", '8make: *** [parse.o] Error 1'], []],
  [{ name: 'signaled', label: 'Stopped (SIGTERM)', title: 'python train.py', elapsed: 182 }, ['1epoch 3/10'], []],
  [{ name: 'signaled', label: 'Ended by SIGKILL from outside (out of memory? It had 6.1 GB)', title: 'python train.py',
    elapsed: 182 }, ['1epoch 3/10'], []],
  [{ name: 'timeout', label: 'Timed out (SIGTERM)', title: 'pytest', elapsed: 60 }, ['1....'], []],
  [{ name: 'left', label: 'Done, exit 0; 2 processes left', title: 'start-servers.sh', elapsed: 0.8 }, ['1started'], []],
  [{ name: 'left', label: 'Timed out (SIGTERM); not stopped: sudo (pid 4711) belongs to root, and may not be signalled from here',
    title: 'sudo -n apt-get update', elapsed: 66 }, [], []],
  [{ name: 'lost', label: 'Lost: nobody saw how it ended', title: 'rsync -a big/ remote:/big/', elapsed: 61 }, [], []],
  [{ name: 'running', label: 'Running', title: 'seq 100', folded: true, note: 'output in x' }, ['11', '12'], []],
  [{ name: 'running', label: 'Running', title: 'python train.py --fold 4', line: true }, epochs.slice(0, 4), [], 0.71],
  [{ name: 'stopping', label: 'Stopping (SIGTERM sent)', title: 'python train.py --fold 5', line: true, sent: 'SIGTERM', sent_ago: 3, next_in: 2 },
    epochs.slice(0, 2), [], 0.2],
  [{ name: 'running', label: 'Running', title: 'sleep 600', line: true }, [], []],
];
const all = new Set(); // what is to happen once a second
const setInterval = window.setInterval;
window.setInterval = (call, ms) => all.add(call) && setInterval(call, ms);
window.showAll = async () => {
  const { default: { card } } = await import('./page.js');
  for (const [own, rows, seen, progress] of states) {
    const el = document.createElement('div');
    document.querySelector('#cell').append(el);
    const shown = { ...plain, ...own };
    window.shown.push(shown);
    let tell;
    const model = { get: () => shown, off() {}, send() {}, on(event, call) { if (event === 'msg:custom') tell = call; } };
    card.render({ model, el });
    for (const each of seen) tell(each, []);
    const { elapsed, sent_ago, next_in, ended } = shown;
    const bytes = rows.map((row) => row.length).reduce((a, b) => a + b, 0);
    const counts = `${rows.length} ${rows.length === 1 ? 'line' : 'lines'} · ${bytes} B`;
    const both = [1, 2].every((stream) => rows.some((row) => row.charAt(0) % 3 === stream));
    const more = { stream: 0, both, counts, progress: progress ?? null, ...(progress ? { inner: 0.71, doing: 'epoch 6/10', left: 'about 3 min left' } : { inner: null, doing: '', left: '' }), secret: false, elapsed, sent_ago, next_in, ended };
    const tail = { op: 'tail', total: rows.length, first: 0, settled: 0, ...more };
    tell(tail, [encode(rows.join('\n'))]);
    told.push(...seen, tail);
  }
};
window.second = () => new Promise((done) => requestAnimationFrame(() => setTimeout(() => {
  all.forEach((call) => call());
  done();
})));
"""
TABLE = r"""
const row = (id, state, mark, label, name, own) => ({ id, state, mark, label, name, pid: 48120 + id, origin: '',
  cell: 4, since: '12:04:31', elapsed: 84, runs: false, cpu: '', memory: '', lines: 1204, opens: true, ...own });
const live = { runs: true, cpu: '387 %', memory: '2.1 GB' };
window.rows = [
  row(9, 'running', '▶', 'Running', 'python train.py --epochs 10 --data /mnt/imagenet --lr 3e-4 --amp', live),
  row(8, 'closed', '▷', 'Running, output closed', 'server --daemon', live),
  row(7, 'paused', '‖', 'Paused', 'make -j8 all', { ...live, cpu: '0 %', lines: 9 }),
  row(6, 'stopping', '□', 'Stopping (SIGTERM sent)', 'ffmpeg -i in.mov -c:v libx264 out.mp4', { ...live, lines: 0, origin: 'box' }),
  row(5, 'left', '⋯', 'Done, exit 0; 2 processes left', 'start-servers.sh', live),
  row(4, 'ok', '✔', 'Done, exit 0', 'pip download numpy', { elapsed: 2.4 }),
  row(3, 'failed', '✘', 'Failed, exit 2', 'make -j8 all', {}),
  row(2, 'signaled', '■', 'Stopped (SIGTERM)', 'python train.py', { opens: false }),
  row(1, 'timeout', '◔', 'Timed out (SIGTERM)', 'pytest', {}),
];
window.sent = [];
window.told = [];
window.shown = [{ version: VERSION, job: 'job', label: 'Table', title: '', pauses: true }];
window.showTable = async () => {
  const { default: { table } } = await import('./page.js');
  let tell;
  const model = { get: () => shown[0], off() {}, send(message) { sent.push(message); },
    on(event, call) { if (event === 'msg:custom') tell = call; } };
  table.render({ model, el: document.querySelector('#cell') });
  told.push({ op: 'rows', rows, ids: rows.map(({ id }) => id) });
  tell(told[0], []);
};
"""
JOBS = r"""
const picture = (own, rung = -1) => ({ op: 'picture', rung,
  picture: { sentence: '', total: 12, done: 0, failed: 0, rows: [], more: '', over: false, ...own } });
let next = 0;
const running = (name, what, time) => ({ id: next++, state: 'running', mark: '▶', name, what, time, opens: true });
const done = (name, what, time) => ({ ...running(name, what, time), state: 'done', mark: '✔' });
const failed = { id: 99, state: 'failed', mark: '✘', name: 'convert 03.png', what: "exited with status 1: convert: no such file '03.png'", time: '0.2 s', opens: false };
window.pictures = [
  picture({ sentence: '0 of 12 done · 4 running · 0.4 s', rows: [running('convert 01.png', '', '0.4 s'), running('convert 02.png', 'reading', '0.4 s')] }),
  picture({ sentence: '7 of 12 done · 1 failed · 4 running · 12.4 s', done: 7, failed: 1,
    rows: [failed, running('convert 08.png --quality 85 --resize 1024x768 --strip', '42% of a long line of output that goes on and on and on', '3.1 s'),
      done('convert 07.png', 'wrote 07.webp (31 kB)', '2.9 s')], more: '… 8 others' }),
  picture({ sentence: '7 of 12 done · 1 failed · 4 running · 12.9 s', done: 7, failed: 1, rows: [failed, running('convert 08.png', '', '3.6 s')] }, 1),
  picture({ sentence: '11 of 12 done · 1 failed · 21.0 s', done: 11, failed: 1, rows: [failed], over: true }),
];
window.told = pictures;
window.shown = [{ version: VERSION, job: 'job', label: 'Commands', title: '' }];
window.showJobs = async () => {
  const { default: { jobs } } = await import('./page.js');
  for (const each of pictures) {
    const el = document.createElement('div');
    document.querySelector('#cell').append(el);
    let tell;
    const model = { get: () => shown[0], off() {}, send() {}, on(event, call) { if (event === 'msg:custom') tell = call; } };
    jobs.render({ model, el });
    tell(each, []);
  }
};
"""
TRANSCRIPTS = [
    ("ok", "Done, exit 0", "pip download numpy", [Row(1, "Saved ./numpy-2.4.0.whl")]),
    ("ok", "Done, exit 0", "touch done", []),
    (
        "failed",
        "Failed, exit 2",
        "make -j8 all",
        [
            Row(1, f"cc -O2 -c src/parse.c {' '.join(f'-I/usr/include/lib{n}' for n in range(9))}"),
            Row(0, "... 838 lines not shown; all of it: /run/user/1000/ipyproc/make-48121.log"),
            Row(2, "src/parse.c:118:9: error: use of undeclared identifier 'tok'"),
            Row(2, "make: *** [parse.o] Error 1"),
        ],
    ),
    (
        "signaled",
        "Stopped (SIGTERM)",
        "python train.py --epochs 10 --data /mnt/imagenet",
        [],
    ),
    ("timeout", "Timed out (SIGTERM)", "pytest", [Row(1, "....")]),
    ("lost", "Lost: nobody saw how it ended", "rsync -a big/ remote:/big/", []),
]
FRAMES = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
PAGE = """<!doctype html><html lang="en"><title>Cards</title><body data-jp-theme-light="{light}">
<style>body {{ margin: 16px; {variables} background: var(--jp-layout-color1); color: var(--jp-content-font-color1);
font-family: system-ui }}</style><main id="cell"></main>"""
LOOKS = {  # width, zoom, light, forced colours
    "light": (1000, 1.0, True, False),
    "dark": (1000, 1.0, False, False),
    "high-contrast": (1000, 1.0, True, True),
    "narrow": (420, 1.0, True, False),
    "narrowest": (300, 1.0, False, False),
    "middle": (700, 1.0, True, False),
    "wide": (1500, 1.0, False, False),
    "zoom-80": (1000, 0.8, True, False),
    "zoom-150": (1000, 1.5, False, False),
}
ORIGIN = "http://localhost:1"  # nobody listens there: the page is made here


def show(page: Page, script: str, call: str, said: object, state: object) -> None:
    """Run a script that plays the kernel, and says nothing that a kernel would not say."""
    page.evaluate(f"{script.replace('VERSION', str(messages.VERSION))}; {call}")
    told, shown = page.evaluate("[told, shown]")
    assert told
    assert [each for each in told if not messages.fits(each, said)] == []
    assert [each for each in shown if not messages.fits(each, state)] == []


def show_states(page: Page, look: str) -> None:
    """Load a page with a card in each state."""
    load(page, look)
    show(page, STATES, "showAll()", messages.CardMessage, messages.CardShown)
    expect(page.locator(".ipyproc-card")).to_have_count(page.evaluate("states.length"))
    page.set_viewport_size({"width": LOOKS[look][0], "height": page.evaluate("document.body.scrollHeight")})
    page.evaluate(f"{FRAMES}.then(second)")  # now all are seen: their figures move
    expect(page.get_by_role("log").get_by_text("epoch 6/10")).to_be_visible()


def show_table(page: Page, look: str) -> None:
    """Load a page with a table that has a row in each state."""
    load(page, look)
    show(page, TABLE, "showTable()", messages.TableMessage, messages.TableShown)
    expect(page.locator(".ipyproc-table-row")).to_have_count(page.evaluate("rows.length"))


def show_jobs(page: Page, look: str) -> None:
    """Load a page with the card of many commands, in each of its states."""
    load(page, look)
    show(page, JOBS, "showJobs()", messages.JobsMessage, messages.Shown)
    expect(page.locator(".ipyproc-jobs")).to_have_count(page.evaluate("pictures.length"))


def show_transcripts(page: Page, look: str) -> None:
    """Load a page with what stays in the notebook, for each end."""
    load(page, look)
    for name, label, command, rows in TRANSCRIPTS:
        used = "CPU 1.84 s · peak 312 MB"
        page.evaluate(
            "(html) => document.querySelector('#cell').insertAdjacentHTML('beforeend', html)",
            transcript._html(State(name, label), command, "12.9 s", used, rows, "", size=_extent(rows), link="a" * 32),
        )


def _extent(rows: list[Row]) -> transcript.Extent:
    """What the rows say of themselves: a line of ours says that 838 others are left out."""
    hidden = 838 if any(row.stream == 0 for row in rows) else 0
    lines = hidden + sum(row.stream != 0 for row in rows)
    log = "/run/user/1000/ipyproc/make-48121.log" if hidden else ""
    return transcript.Extent(lines, hidden, f"{lines} {'line' if lines == 1 else 'lines'} · 9.4 kB", log)


def load(page: Page, look: str) -> None:
    """A page that looks like this, with nothing in it."""
    width, zoom, light, forced = LOOKS[look]
    files = {
        "/": (PAGE.format(light=str(light).lower(), variables=LIGHT if light else DARK), "text/html"),
        "/page.js": ((STATIC / "page.js").read_text(), "text/javascript"),
    }

    def serve(route) -> None:
        body, content_type = files[route.request.url.removeprefix(ORIGIN)]
        route.fulfill(body=body, content_type=f"{content_type}; charset=utf-8")

    page.unroute_all()
    page.route(f"{ORIGIN}/**", serve)
    page.emulate_media(forced_colors="active" if forced else "none", reduced_motion="reduce")
    page.set_viewport_size({"width": width, "height": 700})
    page.goto(f"{ORIGIN}/")
    page.add_style_tag(content=(STATIC / "page.css").read_text())
    page.evaluate(f"document.body.style.zoom = {zoom}")


KINDS = {"card": show_states, "transcript": show_transcripts, "table": show_table, "jobs": show_jobs}


def main(folder: Path) -> None:
    """Write one picture for each look."""
    folder.mkdir(parents=True, exist_ok=True)
    with chromium() as browser:
        page = browser.new_page()
        for look in LOOKS:
            for kind, show in KINDS.items():
                show(page, look)
                page.screenshot(path=folder / f"{kind}-{look}.png", full_page=True)
                print(folder / f"{kind}-{look}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
