"""Progress read from the output: the forms of real programs, and many traps. When unsure: none."""

import random

import pytest

from ipyproc._jupyter.views import progress

pytestmark = pytest.mark.pure

FORMS = [
    (" 42%|████▏     | 42/100 [00:04<00:05,  9.90it/s]", 0.42),
    ("training:   7%|7         | 7/100 [00:04<00:05,  9.90it/s, loss=0.3]", 0.07),
    ("  0%|          | 0/100 [00:00<?, ?it/s]", 0),
    ("100%|██████████| 100/100 [00:10<00:00,  9.90it/s]", 1),
    ("     ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━ 1.7/3.4 MB 5.6 MB/s eta 0:00:01", 0.5),
    ("     ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━ 512.0 kB/1.0 MB 5.6 MB/s eta 0:00:01", 0.512),
    ("   ━━━━━━━━━━━━━━━━━╸━━━━━━━━━━━━━━━━━━━━━━ 45.3/100.6 MB 12.3 MB/s eta 0:00:05", 45.3 / 100.6),
    ("Working... ━━━━━━━━━━━━━━━━╸━━━━━━━━━━━━━━━━━━━━━━━  42% 0:00:12", 0.42),
    ("epoch 6/10  ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━  71%  0:00:12", 0.71),
    ("file.zip            42%[=======>            ]   1.23M  1.20MB/s    eta 3s", 0.42),
    ("[##########          ] 50%", 0.5),
    ("[####------------------------------------]   10%  00:00:09", 0.1),
    ("|██████████----------| 50.0% Complete", 0.5),
    ("12/48 [======>.......................] - ETA: 3s - loss: 0.4", 0.25),
    ("12/48 ━━━━━━━━━━━━━━━━━━━━ 1s 5ms/step - accuracy: 0.9", 0.25),
    ("######################                                    42.3%", 0.423),
    (" 42 1024k   42  430k    0     0  1234k      0  0:00:12  0:00:05  0:00:07 1234k", 0.42),
    ("  0     0    0     0    0     0      0      0 --:--:-- --:--:-- --:--:--     0", 0),
    (" 12  100M   12 12.5M    0     0  5230k      0  0:00:19  0:00:02  0:00:17 5229k", 0.12),
    ("  1,234,567  42%    1.23MB/s    0:00:12", 0.42),
    ("    524,288,000  50%  110.50MB/s    0:00:04 (xfr#1, to-chk=9/11)", 0.5),
    ("data.tar                    42%   12MB   1.2MB/s   00:12 ETA", 0.42),
    ("[ 42%] Building CXX object CMakeFiles/a.dir/b.cc.o", 0.42),
    ("[100%] Linking CXX executable a", 1),
    ("[12/48] CXX obj/main.o", 0.25),
    ("Receiving objects:  42% (420/1000), 1.20 MiB | 2.40 MiB/s", 0.42),
    ("remote: Compressing objects:  10% (1/10)", 0.1),
    ("Resolving deltas: 50% (5/10)", 0.5),
    ("Updating files:  90% (9/10)", 0.9),
    ("Downloading: 42%", 0.42),
    ("Downloading... 42.5%", 0.425),
    ("Progress: 42 %", 0.42),
    ("progress (42%)", 0.42),
    ("Processing 3/10", 0.3),
    ("Processing: 3 / 10 ...", 0.3),
    ("42% done", 0.42),
    ("42% complete", 0.42),
    ("3/10 files processed", 0.3),
    ("3/10 done", 0.3),
    ("20.0MiB 0:00:01 [19.2MiB/s] [======================>           ] 69% ETA 0:00:00", 0.69),
    ("###                                                                        4.7%", 0.047),
    (" 40%|####      | 1.20M/3.00M [00:00<00:00, 5.50MB/s]", 0.4),
    ("Downloading: 42% 1.2 MB/s", 0.42),
]
TRAPS = [
    "3/4 tests failed",
    "3/4 tests passed",
    "3/4",
    "1/2 cup of sugar",
    "2024/12",
    "2024/12/24 10:00:00 started",
    "[2024/12/24] started",
    "2024/12/24 done",
    "24/12/2024",
    "100% of people",
    "42% of people",
    "about 42% done by others",
    "coverage: 87%",
    "TOTAL    120    12    90%",
    "src/main.py    120    12    90%",
    "accuracy: 97.3%",
    "loss 0.3 (acc 97%)",
    "CPU 42%",
    "cpu: 42% mem: 12%",
    "disk /dev/sda1  42% used",
    "/dev/sda1  100G  42G  58G  42% /",
    "battery 42%",
    "/usr/lib/3/4/x",
    "reading 3/4 inch pipes",
    "reading a/b",
    "Downloading https://example.com/1/2",
    "downloading 2024/12/24.zip",
    "http://host/12/48",
    "1080/720 resized",
    "[3/0] never",
    "[12/3] too many",
    "150%",
    "[150%] too much",
    "Processing 10/3",
    "Python 3.13.0",
    "0:00:12",
    "ratio 1/3",
    "tests/1/2 [======]",
    "  -42%",
    "growth: +42%",
    "42% slower",
    "42% done? no: failed",
    "42% done by volunteers",
    "42%",
    "  42 %  ",
    "- 42%",
    "# 42%",
    "= 42%",
    "---- 42%",
    "| 42%|58%|",
    "|42%|58 |3|",
    "| name     |          | 42% |",
    "|----------| 42% |",
    "[          ] 42%",
    "3/4          inch",
    "12/24 ---------- log",
    "Processing 42% of the data",
    "Building 100% of users",
    "compressing: 42% saved",
    "Processing 12/2024",
    "Processing 05/28",
    "Processing 10/10",
    "[11/28] nightly backup",
    "[1/4] Resolving packages...",
    "[48/48] Linking",
    "4/4 done",
    "12/24/24 done",
    "        524,288 100%   16.87kB/s    0:00:00 (xfr#1, to-chk=3/5)",
    "100%|not a bar",
    "a | 42% | b",
    "| 42% | 58% |",
    "| name | 42% |",
    "[4/4 failed]",
    "[1/2]",
    "epoch 3/10",
    "Step 3/10 : RUN make",
    "5 of 10",
    "%",
    "%d/%d",
    "",
]


@pytest.mark.parametrize(("row", "share"), FORMS)
def test_forms(row, share):
    assert progress.read(["some line", row]) == pytest.approx(share)


@pytest.mark.parametrize("row", TRAPS)
def test_traps(row):
    assert progress.read([row]) is None
    assert progress.read(["some line", row, "some line"]) is None


def test_a_percentage_alone_counts_while_it_is_written_anew_and_when_it_grows():
    assert progress.read(["42%"], is_open=True) == 0.42
    assert progress.read(["Use%", " 42%"]) is None, "df --output=pcent"
    assert progress.read(["41%", "42%"]) == 0.42
    assert progress.read(["42%", "42%"]) is progress.read(["42%", "41%"]) is progress.read(["42%", "420%"]) is None


def test_the_newest_counts_for_a_few_rows():
    lines = ["[ 41%] Building a", "[ 42%] Building b", "warning: x", "  note: y"]
    assert progress.read(lines) == 0.42
    assert progress.read([*lines, "", *["other"] * 5]) is None


def test_what_is_done_is_over_when_something_else_follows():
    done = "100%|██████████| 100/100 [00:10<00:00,  9.90it/s]"
    assert progress.read(["[ 99%] a", done]) == 1
    assert progress.read([done, "saving the model"]) is None
    assert progress.read([done, " 10%|█         | 1/10 [00:01<00:09,  1.0it/s]"]) == 0.1


def test_two_bars_at_once_are_no_answer():
    bars = [" 50%|█████     | 5/10 [00:01<00:01, 5it/s]", " 10%|█         | 1/10 [00:01<00:09, 1it/s]"]
    assert progress.read(bars) is None
    assert progress.read(bars[:1]) == 0.5


def test_rows_that_are_long_cost_little():
    import time

    rows = ["━" * 100_000, "#" * 100_000, " " * 100_000 + "x", "[" + "=" * 100_000, "1" * 100_000]
    began = time.thread_time()
    assert progress.read(rows) is None
    assert time.thread_time() - began < 0.1


def test_it_never_fails():
    rng = random.Random(1)
    letters = "0123456789%/|[]()=#━█ .:,kMB\u0661\u00b2"
    for _ in range(5000):
        share = progress.read(["".join(rng.choices(letters, k=rng.randrange(60)))])
        assert share is None or 0 <= share <= 1
