"""Where logs are stored: a private directory of this process. Making it also removes old ones of earlier processes.

Each process has a directory of its own (`tempfile.mkdtemp`: mode 0700, unpredictable name), whose files are created with
O_EXCL and mode 0600 whatever the umask. It is removed with the process, unless a log in it was kept.

Whenever a process makes its directory, it looks at those of processes that have ended. A directory is removed when nothing
was written to it for `KEEP_DAYS`, and the oldest go while all together are larger than `KEEP_BYTES`. One that is in use is
known by the lock on a file in it and never touched; its process keeps the logs in it below `KEEP_BYTES`. Where files cannot
be locked (some network file systems), nobody can tell: there the directory gets a name by which it is never removed, and a
warning says so. The directory itself is locked too, so that systemd-tmpfiles, which removes old temporary files, leaves it
alone.

The place is $IPYPROC_LOG_DIR, or else the usual one for temporary files; if that is in memory (tmpfs, on Linux), it is
/var/tmp, because a log may be larger than the memory.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import stat
import sys
import tempfile
import threading
import time
import warnings
import weakref
from pathlib import Path
from typing import Any

from .new_file import open_new

KEEP_DAYS = 7.0
KEEP_BYTES = 16 * 10**9
_PREFIX = "ipyproc-"
_UNLOCKED = "unlocked-ipyproc-"  # of a directory that is never removed
_LOCK = "lock"
_ATTEMPTS = 3
_MOMENT = 60.0  # seconds within which a new directory gets its lock


class _Directory:
    """The private directory of this process; removed after the logs in it (finalizers run in reverse order)."""

    def __init__(self) -> None:
        self.pid, self.user = os.getpid(), _user()
        parent = _parent()
        clear(parent)
        for _ in range(_ATTEMPTS):
            if self._make(parent, _PREFIX):
                break
            self.leave()  # another process has the lock: it is just checking whether the directory is in use
        else:
            self._make(parent, _UNLOCKED)
        self._made = self.path.lstat()
        weakref.finalize(self, _leave, self.pid, self.path, self.locks)

    def _make(self, parent: Path, prefix: str) -> bool:
        """Make it; return whether it could be locked."""
        self.path = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        self.path.chmod(0o700)  # whatever the umask has removed from the mode
        self.locks = [open_new(self.path / _LOCK)]
        is_locked = _try_lock(self.locks[0]) is True
        if sys.platform != "win32":
            self.locks.append(os.open(self.path, os.O_RDONLY | os.O_CLOEXEC))
            _try_lock(self.locks[1])
        return is_locked

    def leave(self) -> None:
        """Give up the locks, and remove it if there is nothing in it."""
        _leave(self.pid, self.path, self.locks)

    def is_there(self) -> bool:
        """Whether it still exists, and nobody has put something else in its place."""
        with contextlib.suppress(OSError):
            return os.path.samestat(self._made, self.path.lstat())
        return False


_directory: _Directory | None = None
_making = threading.Lock()
if hasattr(os, "register_at_fork"):  # a child that is forked while another thread holds it would wait for ever
    os.register_at_fork(before=_making.acquire, after_in_parent=_making.release, after_in_child=_making.release)
_kept: dict[Path, int] = {}  # logs of this process that have ended, the oldest first, and their bytes
_kept_bytes = 0  # the sum of their sizes


def directory() -> Path:
    """The private directory of this process, made at first use and removed at exit if no log in it was kept."""
    return _current().path


def locks() -> list[int]:
    """The descriptors that hold the locks; the directory is locked as long as any process has them open."""
    return _current().locks


def _current() -> _Directory:
    global _directory
    with _making:  # several threads may start the first program at once
        ours = os.getpid(), _user()  # after setuid(2), no file can be created in it
        if _directory is None or (_directory.pid, _directory.user) != ours or not _directory.is_there():
            _directory = _Directory()
            if _directory.path.name.startswith(_UNLOCKED):
                warnings.warn(
                    f"files cannot be locked in {_directory.path.parent}: logs that are left there will never be cleared; "
                    "IPYPROC_LOG_DIR in the environment names another place",
                    RuntimeWarning,
                    stacklevel=3,
                )
        return _directory


def create_file(suffix: str) -> tuple[int, Path]:
    """A new private file (open for appending and reading, mode 0600, unpredictable name) and its path."""
    path = new_path(suffix)
    return open_new(path), path


def new_path(suffix: str) -> Path:
    """A name in the private directory that nobody can guess; the file is not created."""
    return directory() / (secrets.token_hex(8) + suffix)


def open_user_file(path: str | os.PathLike[str], *, append: bool) -> int:
    """Open a file of the user's for a log, and lock it.

    Raises:
        OSError: it cannot be opened, is no regular file, or another log is being written to it.
    """
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    fd = os.open(path, flags | getattr(os, "O_NONBLOCK", 0), 0o666)  # so that opening a FIFO does not wait
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", os.fspath(path))
        if _try_lock(fd) is False:
            raise OSError(errno.EBUSY, "another log is being written to it", os.fspath(path))
        if not append:
            os.truncate(fd, 0)
    except BaseException:
        os.close(fd)
        raise
    return fd


def remove_with(owner: object, *paths: Path) -> weakref.finalize[..., Any]:
    """Remove these files with `owner`, at the latest when this process ends. Call the result to remove them now."""
    return weakref.finalize(owner, _remove, os.getpid(), *paths)


def keep(path: Path) -> None:
    """Keep this log, which has ended, when its object goes. The oldest kept logs are removed if all are too large."""
    global _kept_bytes
    _kept[path] = _size(path)
    _kept_bytes += _kept[path]
    while len(_kept) > 1 and _kept_bytes > KEEP_BYTES:
        oldest = next(iter(_kept))
        _kept_bytes -= _kept.pop(oldest)
        _remove(os.getpid(), oldest)


def free_bytes() -> int:
    """Free bytes on the disk where logs are stored."""
    return shutil.disk_usage(directory()).free


def clear(parent: Path) -> None:
    """Remove what ended processes of this user left in `parent`, by the policy above."""
    left = []
    for folder in parent.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            known = folder.lstat()
            ours = stat.S_ISDIR(known.st_mode) and stat.S_IMODE(known.st_mode) == 0o700
            if ours and (not hasattr(os, "getuid") or known.st_uid == os.getuid()) and not _in_use(folder):
                files = list(folder.iterdir())
                changed = max(file.lstat().st_mtime for file in (folder, *files))
                left.append((changed, sum(map(_size, files)), folder))
    total = sum(size for _, size, _ in left)
    for changed, size, folder in sorted(left):
        if changed < time.time() - KEEP_DAYS * 86400 or total > KEEP_BYTES:
            shutil.rmtree(folder, ignore_errors=True)
            total -= size


def _parent() -> Path:
    if chosen := os.environ.get("IPYPROC_LOG_DIR"):
        return Path(chosen).absolute()  # this process may go to another directory, and shims are in another one
    usual = Path(tempfile.gettempdir())
    on_disk = Path("/var/tmp")  # noqa: S108  -- a name in it cannot be guessed
    if sys.platform == "linux" and _filesystem(usual) == "tmpfs" and _filesystem(on_disk) != "tmpfs":
        return on_disk if os.access(on_disk, os.W_OK | os.X_OK) else usual
    return usual


def _filesystem(path: Path) -> str:
    """The type of its file system: that of the longest, and of those the last, mount point above it (proc_pid_mountinfo(5))."""
    found, longest = "", -1
    with contextlib.suppress(OSError), open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as mounts:
        for line in mounts:
            fields, _, rest = line.partition(" - ")
            point = fields.split()[4]
            if len(point) >= longest and path.resolve().is_relative_to(point):
                found, longest = rest.split()[0], len(point)
    return found


def _size(path: Path) -> int:
    """Bytes on disk: a hole in a log takes none."""
    with contextlib.suppress(OSError):
        known = path.lstat()
        return getattr(known, "st_blocks", known.st_size // 512) * 512
    return 0


def _in_use(folder: Path) -> bool:
    """Whether a process uses it, or that cannot be told."""
    flags = getattr(os, "O_NOFOLLOW", 0)
    try:
        return _is_locked(os.open(folder / _LOCK, os.O_RDWR | flags))
    except FileNotFoundError:  # it is just being made, or somebody has removed what was old
        return time.time() - folder.lstat().st_mtime < _MOMENT or (
            sys.platform != "win32" and _is_locked(os.open(folder, os.O_RDONLY | flags))
        )


def _is_locked(fd: int) -> bool:
    """Whether a process has locked it, or that cannot be told. Closes it."""
    try:
        return _try_lock(fd) is not True
    finally:
        os.close(fd)


def _try_lock(fd: int) -> bool | None:
    """Lock a file for as long as it is open here; False if another process or log has it, None if it cannot be locked."""
    if sys.platform == "win32":
        return True  # a file that is open cannot be removed there
    import fcntl  # late: POSIX only

    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _user() -> int:
    return os.geteuid() if sys.platform != "win32" else 0


def _remove(pid: int, *paths: Path) -> None:
    if pid != os.getpid():
        return  # a forked child must not remove the files of its parent
    for path in paths:
        with contextlib.suppress(OSError):
            path.unlink()


def _leave(pid: int, path: Path, locks: list[int]) -> None:
    while locks:
        os.close(locks.pop())
    with contextlib.suppress(OSError):
        if pid == os.getpid() and set(os.listdir(path)) <= {_LOCK}:
            shutil.rmtree(path, ignore_errors=True)
