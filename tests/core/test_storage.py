"""Logs are private, and what ended processes left is cleared by a policy; what is in use is never touched."""

import errno
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from ipyproc._core.batch import joblog
from ipyproc._core.output import log, storage
from ipyproc._core.output import writer as log_writer

pytestmark = [pytest.mark.usefixtures("nothing_left"), pytest.mark.pure]

DAY = 86400


@pytest.fixture
def parent(tmp_path, monkeypatch):
    """An empty place for logs; this process has no directory in it yet."""
    monkeypatch.setenv("IPYPROC_LOG_DIR", str(tmp_path))
    monkeypatch.setattr(storage, "_directory", None)
    monkeypatch.setattr(storage, "_kept", {})
    monkeypatch.setattr(storage, "_kept_bytes", 0)
    return tmp_path


def left_behind(parent, name, *, size=0, days=0.0, mode=0o700):
    """What a process left that has ended."""
    folder = parent / f"ipyproc-{name}"
    folder.mkdir()
    (folder / "lock").touch()
    (folder / "x.log").write_bytes(os.urandom(size))
    folder.chmod(mode)
    age(folder, days)
    return folder


def age(folder, days):
    """Nothing in it was written since so many days."""
    for path in (*folder.iterdir(), folder):
        os.utime(path, (time.time() - days * DAY,) * 2)


def names(parent):
    return sorted(path.name.removeprefix("ipyproc-") for path in parent.iterdir())


def python(code, **env):
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **env},
    )


# --- private -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("umask", [0, 0o777])
def test_all_is_private_whatever_the_umask(umask, parent):
    before = os.umask(umask)
    try:
        made = log.Log()
        made.write(1, b"x")
        made.write(2, b"y")
    finally:
        os.umask(before)
    folder = made.path.parent
    assert folder.parent == parent and stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()] == [0o600] * 3
    made.close()
    storage._directory = None


@pytest.mark.skipif(sys.platform == "win32", reason="no umask")
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_a_file_that_the_user_names_is_made_as_a_shell_makes_it(umask, mode, tmp_path):
    """Others may be meant to read it; a file that is there stays theirs to whom it was given."""
    before = os.umask(umask)
    try:
        log.Log(file=tmp_path / "log").discard()
        joblog.JobLog(tmp_path / "jobs").__exit__(None, None, None)
    finally:
        os.umask(before)
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("log", "jobs")] == [mode] * 2
    (tmp_path / "log").chmod(0o640)
    log.Log(file=tmp_path / "log").discard()
    assert stat.S_IMODE((tmp_path / "log").stat().st_mode) == 0o640


def test_names_cannot_be_guessed():
    made = {storage.new_path(".log").stem for _ in range(1000)}
    assert len(made) == 1000 and {len(name) for name in made} == {16}
    # no digit says anything about the next name: each place has had all 16
    assert [len(set(digits)) for digits in zip(*made, strict=True)] == [16] * 16


@pytest.mark.parametrize("kind", ["link", "link to nothing", "FIFO", "file", "directory"])
def test_what_was_planted_is_not_opened(kind, tmp_path, monkeypatch):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    monkeypatch.setattr(storage.secrets, "token_hex", lambda _: "known")
    planted = storage.directory() / "known.log"
    if kind.startswith("link"):
        planted.symlink_to(tmp_path / ("victim" if kind == "link" else "none"))
    else:
        {"FIFO": os.mkfifo, "file": Path.touch, "directory": Path.mkdir}[kind](planted)
    with pytest.raises(FileExistsError):
        log.Log()
    assert victim.read_text() == "precious" and [path.name for path in tmp_path.iterdir()] == ["victim"]
    planted.rmdir() if kind == "directory" else planted.unlink()


def test_a_directory_that_was_exchanged_is_not_used(parent, tmp_path_factory):
    """Where others may rename it, as in a place without the sticky bit."""
    before = storage.directory()
    theirs = tmp_path_factory.mktemp("theirs")
    before.rename(parent / "moved")
    before.symlink_to(theirs)
    made = log.Log()
    made.write(1, b"x")
    assert made.path.parent != before and not list(theirs.iterdir())
    made.close()
    storage._directory = None


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can be another user")
def test_another_user_can_neither_read_nor_have_his_own_cleared(parent, monkeypatch):
    nobody = 65534
    parent = Path(tempfile.mkdtemp())  # pytest's own is closed to others
    parent.chmod(0o777)
    monkeypatch.setenv("IPYPROC_LOG_DIR", str(parent))
    made = log.Log()
    made.write(1, b"mine")
    for words in (
        ["cat", made.path],
        ["ls", made.path.parent],
        ["touch", made.path.parent / "x"],
        ["cat", "/dev/null"],
    ):
        done = subprocess.run(words, user=nobody, group=nobody, capture_output=True, text=True)
        assert (done.returncode == 0) == (words[-1] == "/dev/null"), words
        assert "Permission denied" in done.stderr or words[-1] == "/dev/null"
    made.close()
    theirs = left_behind(parent, "theirs", days=9)
    os.chown(theirs, nobody, nobody)
    left_behind(parent, "ours", days=9)
    storage._directory = None
    storage.clear(parent)
    assert "theirs" in names(parent) and "ours" not in names(parent)
    shutil.rmtree(parent)


def test_a_directory_that_somebody_removed_is_made_again(parent):
    before = storage.directory()
    assert storage.directory() == before
    (before / "lock").unlink()
    before.rmdir()
    assert storage.directory() != before and storage.directory().is_dir()
    storage._directory = None


# --- the policy --------------------------------------------------------------------------------------------------


def test_what_is_too_old_goes(parent):
    for name, days in [("new", 0), ("week", 6.9), ("old", 7.1)]:
        left_behind(parent, name, days=days)
    storage.clear(parent)
    assert names(parent) == ["new", "week"]


def test_the_oldest_go_first_while_all_are_too_large(parent, monkeypatch):
    for name, days in [("c", 1), ("a", 3), ("b", 2), ("d", 0.5)]:
        left_behind(parent, name, size=100_000, days=days)
    monkeypatch.setattr(storage, "KEEP_BYTES", 250_000)
    storage.clear(parent)
    assert names(parent) == ["c", "d"]


def test_what_is_not_ours_stays(parent):
    left_behind(parent, "open", days=9, mode=0o755)
    (parent / "ipyproc-file").touch()
    (parent / "ipyproc-link").symlink_to(left_behind(parent, "linked", days=1))
    (parent / "other").mkdir()
    storage.clear(parent)
    assert names(parent) == ["file", "link", "linked", "open", "other"]


def test_a_directory_without_a_lock_is_perhaps_just_being_made(parent):
    for name, days in [("now", 0), ("old", 8)]:
        folder = left_behind(parent, name)
        (folder / "lock").unlink()
        age(folder, days)
    storage.clear(parent)
    assert names(parent) == ["now"]


def test_age_counts_from_what_was_written_last(parent):
    folder = left_behind(parent, "written", days=30)
    (left_behind(parent, "ended", days=30) / "lock").touch()
    for name in ("x.log", "lock"):
        os.utime(folder / name, (time.time() - (6 if name == "x.log" else 30) * DAY,) * 2)
    left_behind(parent, "old", days=8)
    storage.clear(parent)
    assert names(parent) == ["ended", "written"]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX locks")
def test_a_directory_that_cannot_be_locked_is_never_cleared_and_a_warning_says_so(parent, monkeypatch):
    def cannot(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    left_behind(parent, "old", days=9)
    with monkeypatch.context() as patched:
        patched.setattr("fcntl.flock", cannot)
        with pytest.warns(RuntimeWarning, match=f"files cannot be locked in {parent}: .* IPYPROC_LOG_DIR"):
            made = log.Log()
        made.write(1, b"x")
        made.keep()
        assert names(parent) == ["old", made.path.parent.name], "who cannot lock does not know who else has it"
        assert log.Log().path.parent == made.path.parent, "and it is warned of once"
    age(made.path.parent, 9)
    storage.clear(parent)  # by another process, which could lock it
    assert made.path.read_bytes() == b"x" and "old" not in names(parent)
    made.close()
    storage._directory = None


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX locks")
def test_whose_lock_another_process_has_just_now_makes_another_directory(parent, monkeypatch):
    try_lock, tried = storage._try_lock, []

    def busy(fd):
        tried.append(fd)
        return try_lock(fd) if len(tried) > 2 else False

    monkeypatch.setattr(storage, "_try_lock", busy)
    assert names(parent) == [] and names(storage.directory().parent) == [
        storage.directory().name.removeprefix("ipyproc-")
    ]
    assert storage._in_use(storage.directory())
    storage._directory = None


@pytest.mark.skipif(not shutil.which("systemd-tmpfiles"), reason="systemd is not there")
def test_systemd_does_not_clean_up_a_directory_in_use(parent, tmp_path_factory):
    made = log.Log()
    made.write(1, b"x")
    left_behind(parent, "left")
    rule = tmp_path_factory.mktemp("rules") / "tmp.conf"
    rule.write_text(f"d {parent} - - - 0\n")  # whatever its age
    done = subprocess.run(["systemd-tmpfiles", "--clean", rule], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(done.stderr)
    assert parent.is_dir() and names(parent) == [made.path.parent.name.removeprefix("ipyproc-")]
    assert made.data() == b"x"
    made.close()
    storage._directory = None


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX locks")
def test_the_lock_on_the_directory_tells_of_its_use_when_somebody_has_removed_the_file(parent):
    folder = storage.directory()
    (folder / "lock").unlink()
    age(folder, 9)
    storage.clear(parent)
    assert folder.is_dir()
    storage._directory = None


def test_a_directory_in_use_is_not_touched_and_goes_with_its_process(parent, monkeypatch):
    code = "from ipyproc._core.output.log import Log; log = Log(); log.write(1, b'x' * 10000); print(log.path, flush=True); input()"
    monkeypatch.setattr(storage, "KEEP_BYTES", 0)
    with python(code) as process:
        path = Path(process.stdout.readline().strip())
        os.utime(path.parent, (0, 0))
        storage.clear(parent)
        assert path.exists()
        process.communicate("\n")
    assert not path.parent.exists()


@pytest.mark.parametrize("kept", [False, True])
def test_what_a_process_leaves_is_what_it_kept(parent, kept):
    code = f"from ipyproc._core.output.log import Log; log = Log(); log.write(1, b'x'); {kept} and log.keep(); print(log.path)"
    with python(code) as process:
        path = Path(process.communicate()[0].strip())
    assert path.exists() == path.parent.exists() == kept
    if kept:
        age(path.parent, 8)
        assert storage.directory() != path.parent and not path.parent.exists(), "it is cleared by the next process"
        storage._directory = None


def test_a_killed_process_leaves_what_the_next_one_clears(parent):
    with python(
        "from ipyproc._core.output.log import Log; log = Log(); print(log.path, flush=True); input()"
    ) as process:
        path = Path(process.stdout.readline().strip())
        process.kill()
    assert path.exists()
    age(path.parent, 8)
    storage.clear(parent)
    assert names(parent) == []


def test_the_oldest_kept_logs_of_this_process_go_when_they_are_too_large(parent, monkeypatch):
    monkeypatch.setattr(storage, "KEEP_BYTES", 250_000)
    paths = []
    for _ in range(4):
        made = log.Log(frozenset({1}))
        made.write(1, os.urandom(100_000))
        made.keep()
        made.end(1)
        paths.append(made.path)
    assert [path.exists() for path in paths] == [False, False, True, True]
    storage._directory = None


# --- the place ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("filesystems", "platform", "expected"),
    [
        ({"/tmp": "tmpfs", "/var/tmp": "ext4"}, "linux", "/var/tmp"),
        ({"/tmp": "ext4", "/var/tmp": "ext4"}, "linux", "/tmp"),
        ({"/tmp": "tmpfs", "/var/tmp": "tmpfs"}, "linux", "/tmp"),
        ({"/tmp": "tmpfs", "/var/tmp": "apfs"}, "darwin", "/tmp"),
    ],
)
def test_a_log_is_not_kept_in_memory(monkeypatch, filesystems, platform, expected):
    monkeypatch.delenv("IPYPROC_LOG_DIR", raising=False)
    monkeypatch.setattr(storage.tempfile, "gettempdir", lambda: "/tmp")
    monkeypatch.setattr(storage.sys, "platform", platform)
    monkeypatch.setattr(storage, "_filesystem", lambda path: filesystems[str(path)])
    assert storage._parent() == Path(expected)


def test_where_var_tmp_cannot_be_written_the_usual_place_will_do(monkeypatch):
    monkeypatch.delenv("IPYPROC_LOG_DIR", raising=False)
    monkeypatch.setattr(storage, "_filesystem", lambda path: "ext4" if path == Path("/var/tmp") else "tmpfs")
    monkeypatch.setattr(storage.os, "access", lambda *_: False)
    assert storage._parent() == Path(storage.tempfile.gettempdir())


@pytest.mark.skipif(sys.platform != "linux", reason="mountinfo")
def test_the_type_of_a_filesystem():
    assert storage._filesystem(Path("/proc/self")) == "proc"
    assert storage._filesystem(Path("/dev/shm")) == "tmpfs"
    assert storage._filesystem(Path("/no/such/place")) == storage._filesystem(Path("/"))


def test_a_place_that_cannot_be_used_is_an_error_that_names_it(parent, monkeypatch):
    monkeypatch.setenv("IPYPROC_LOG_DIR", str(parent / "none"))
    with pytest.raises(FileNotFoundError, match="none"):
        log.Log()


# --- holes and forks ---------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="fallocate")
def test_a_punched_hole_gives_its_space_back(tmp_path):
    fd = log_writer.open_new(tmp_path / "file")
    os.write(fd, b"x" * (1 << 20))
    assert log_writer.punch(fd, 1 << 16, 1 << 19)
    assert os.fstat(fd).st_size == 1 << 20 and storage._size(tmp_path / "file") == (1 << 20) - (1 << 19) + (1 << 16)
    assert os.pread(fd, 1 << 20, 0) == b"x" * (1 << 16) + bytes((1 << 19) - (1 << 16)) + b"x" * (1 << 19)
    os.close(fd)
    read_end, write_end = os.pipe()
    assert not log_writer.punch(write_end, 0, 10)
    os.close(read_end), os.close(write_end)


def test_a_forked_child_removes_nothing_of_its_parent(parent):
    code = """if True:
        import os, gc, sys
        from ipyproc._core.output import storage
        from ipyproc._core.output.log import Log
        log = Log()
        log.write(1, b"mine"), log.write(2, b"too")
        folder = log.path.parent
        if not os.fork():
            path, index = log.path, log._index_path
            del log
            gc.collect()
            other = Log()
            assert path.exists() and index.exists() and other.path.parent != folder
            sys.exit()
        os.wait()
        print(log.read(), folder.exists(), len(list(folder.parent.iterdir())))
    """
    with python(code) as process:
        assert process.communicate()[0] == "b'minetoo' True 1\n"
    assert names(parent) == []


def test_a_place_that_is_named_from_here(parent, monkeypatch):
    monkeypatch.chdir(parent)
    monkeypatch.setenv("IPYPROC_LOG_DIR", "logs")
    (parent / "logs").mkdir()
    made = storage.directory()
    monkeypatch.chdir("/")
    assert storage.directory() == made and made.parent == parent / "logs"
