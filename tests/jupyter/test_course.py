"""The progress of the whole, from rounds and their bars, and the time that is left: right, or not said."""

import pytest

from ipyproc._jupyter.views import course
from ipyproc._jupyter.views.course import Course, Reading

pytestmark = pytest.mark.pure


def tqdm(percent, of=""):
    return f"{of}{percent:3d}%|{'█' * (percent // 10):10s}| {percent}/100 [00:04<00:05,  9.90it/s]"


def reading(*looks, every=1.0):
    """What is read at last when these rows are looked at, one look after the other."""
    seen, found = Course(), Reading()
    for number, rows in enumerate(looks):
        found = seen.take(rows if isinstance(rows, list) else [rows], is_open=False, now=number * every)
    return found


@pytest.mark.parametrize(
    ("rows", "share", "inner", "name"),
    [
        (
            ["Epoch 4/12", "12/48 [======>.......................] - ETA: 3s - loss: 0.4"],
            3.25 / 12,
            0.25,
            "epoch 4/12",
        ),  # Keras
        (
            ["Epoch 4/12", "12/48 ━━━━━━━━━━━━━━━━━━━━ 1s 5ms/step - accuracy: 0.9"],
            3.25 / 12,
            0.25,
            "epoch 4/12",
        ),  # Keras 3
        ([f"Epoch 1/3 : |{'█' * 10}{'-' * 10}| 50.00% [42/84 00:04<00:05]"], 0.5 / 3, 0.5, "epoch 1/3"),  # fastprogress
        (["Epoch [4/12], loss 0.3"], 3 / 12, None, "epoch 4/12"),
        (["epoch 6/10  ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━  71%  0:00:12"], 0.571, 0.71, "epoch 6/10"),  # rich
        (["Fold 2 of 5", tqdm(40)], 0.28, 0.4, "fold 2/5"),
        (["Step 3/10 : RUN make", "cc -c a.c"], 0.2, None, "step 3/10"),  # docker
        (["#8 [4/12] RUN pip install", "#8 1.2 Collecting numpy"], 0.25, None, "step 4/12"),  # BuildKit
        (["  4/12 Test  #4: parse ......   Passed    0.01 sec"], 4 / 12, None, ""),  # ctest
        (["[12/48] CXX obj/main.o"], 0.25, None, ""),  # ninja
        (["[ 42%] Building CXX object a.o"], 0.42, None, ""),  # make by CMake
        ([tqdm(42)], 0.42, None, ""),
        (["   ━━━━━━━━━━━━━━━━━╸━━━━━━━━━━━━━━━━━━━━━━ 50.0/100.0 MB 12.3 MB/s eta 0:00:05"], 0.5, None, ""),  # pip
    ],
)
def test_forms(rows, share, inner, name):
    found = reading(rows)
    assert (found.share, found.inner) == (pytest.approx(share), pytest.approx(inner) if inner is not None else None)
    assert (found.name, found.left) == (name, None)


def test_lightning_counts_from_zero():
    looks = [[f"Epoch {n}/9: {tqdm(50)}"] for n in range(3)]
    assert reading(*looks[:1]).share == pytest.approx(0.5 / 9)
    assert reading(*looks).name == "epoch 2/9" and reading(*looks).share == pytest.approx(2.5 / 9)


def test_ffmpeg():
    head = ["Input #0, mov,mp4, from 'in.mp4':", "  Duration: 00:10:00.00, start: 0.000000, bitrate: 1205 kb/s"]
    rows = ["frame=  123 fps= 30 q=28.0 size=  1024KiB time=00:02:30.00 bitrate= 100.5kbits/s speed=1.5x"]
    assert reading([*head, *rows]).share == reading(head, ["Press [q] to stop"], rows).share == 0.25
    assert reading(rows).share is None, "nobody knows how long it is"
    assert reading([*head, head[1].replace("10:", "20:"), *rows]).share is None, "two inputs"


@pytest.mark.parametrize(
    "row",
    [
        "3/10",
        "epochs: 10",
        "epoch 2024/12/24",
        "epoch 13/12",
        "the last epoch 3/10",
        "passed 3/10",
        "Step 3/10 failed",
        "epoch 3/0",
        "round 1/2.5",
    ],
)
def test_what_is_no_round(row):
    assert reading(row) == Reading()


def test_a_round_is_remembered_and_the_bar_of_the_one_before_is_not_its_own():
    seen = Course()
    take = lambda *rows: seen.take(rows, is_open=False, now=0.0)  # noqa: E731
    assert take("Epoch 1/4", tqdm(95)).share == pytest.approx(0.95 / 4)
    for _ in range(2):
        assert take("Epoch 1/4", tqdm(95), "Epoch 2/4").share == pytest.approx(0.25), "never back"
    assert take("a", "b", "c", "d", tqdm(50)) == (pytest.approx(1.5 / 4), 0.5, "epoch 2/4", None)
    assert take(tqdm(10)).share == pytest.approx(1.5 / 4), "it does not go back"
    assert take("Epoch 1/2", tqdm(50)).share == 0.25, "another training"


def test_stages_that_are_built_at_once_are_no_answer():
    assert reading(["#8 [base 2/3] RUN a", "#9 [app 1/9] RUN b"]).name == ""
    assert reading("#8 [base 2/3] RUN a", "#9 [app 1/9] RUN b").share is None


def test_the_time_that_is_left():
    assert reading(*map(tqdm, range(0, 11, 2))).left == pytest.approx(45)
    rounds = [[f"Epoch {n // 10 + 1}/4", tqdm(10 * (n % 10))] for n in range(21)]
    assert reading(*rounds, every=3.0).left == pytest.approx(60)
    assert reading(*(f"epoch {n}/10" for n in range(1, 7)), every=20.0).left == pytest.approx(100), (
        "to the end of the last one"
    )


@pytest.mark.parametrize(
    "looks",
    [
        [tqdm(n) for n in (0, 10, 20)],  # too few
        [tqdm(n) for n in (0, 0, 0, 0, 0, 0, 0, 1)],  # too little
        [tqdm(n) for n in (0, 1, 2, 3, 4, 20, 40, 60)],  # faster
        [tqdm(n) for n in (0, 20, 40, 60, 61, 62, 63, 64)],  # slower
        [tqdm(n) for n in (*range(0, 60, 10), *[50] * 20)],  # it stands still
        [tqdm(n) for n in (*range(0, 101, 10), *range(0, 101, 10))],  # one bar of many
        [["a line"]] * 20,
    ],
    ids=["few", "little", "faster", "slower", "still", "many", "none"],
)
def test_it_is_not_said_when_it_is_not_known(looks):
    assert reading(*looks).left is None


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "about 10 s left"),
        (31, "about 40 s left"),
        (61, "about 1 min left"),
        (3000, "about 50 min left"),
        (7800, "about 2 h 10 min left"),
    ],
)
def test_words(seconds, words):
    assert course.words(seconds) == words


def test_many_looks_cost_no_memory():
    seen = Course()
    for number in range(10_000):
        seen.take([f"[{number}/10000] CXX a.o"], is_open=False, now=number)
    assert len(seen._steps) <= 60 and seen.take(["x"], is_open=False, now=10_000.0).left is not None
