"""Safe file primitives: private folders, atomic views, reads that follow no link."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import tempfile
from pathlib import Path

from core.errors import StorageError
from core.paths import CHECKOUT, DataRoot


def make_private_folder(path: Path) -> None:
    """Create `path` and its parents; the last one ends as 0700 and must be ours.

    Raises:
        StorageError: It cannot be made, another account owns it, or others may read it.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        info = path.stat()
    except OSError as error:
        raise StorageError(
            f"The folder {path} cannot be created: {error.strerror}.",
            remedy="Free the place or choose another folder with --data-dir.",
        ) from error
    if info.st_uid != os.getuid():
        raise StorageError(
            f"The folder {path} belongs to another account.",
            remedy="Choose another folder with --data-dir or TMUX_BUILDER_RUNTIME_DIR.",
        )
    if stat.S_IMODE(info.st_mode) & 0o077:
        raise StorageError(
            f"The folder {path} can be read by others ({stat.S_IMODE(info.st_mode):04o}).",
            remedy=f"chmod 700 {path}",
        )


def make_private_root(root: DataRoot) -> None:
    """Make a data root private.

    A checkout's own `users/` comes from git readable by others; it is closed before the first
    user's data is in it. Another folder that others may read is refused: somebody chose that.

    Raises:
        StorageError: As for `make_private_folder`.
    """
    is_own = root.path == CHECKOUT / "users" and not root.store.exists()
    if is_own and root.path.is_dir() and root.path.stat().st_uid == os.getuid():
        root.path.chmod(0o700)
    make_private_folder(root.path)


def write_atomically(
    path: Path, content: bytes, *, mode: int = 0o600, is_flushed: bool = True
) -> None:
    """Replace `path` by a flushed temporary neighbour, so that no reader sees half of it.

    Args:
        path: What to replace; its folder is there.
        content: All of it.
        mode: The new file's rights.
        is_flushed: Wait for the disk. Without it a power failure may leave an empty file: only
            for what can be written again and is checked before it is used.

    Raises:
        StorageError: The disk is full, read-only or the folder is gone.
    """
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise _cannot_write(path, error) from error
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fchmod(stream.fileno(), mode)
            if is_flushed:
                os.fsync(stream.fileno())
        os.replace(name, path)  # noqa: PTH105 - the name is a string from mkstemp
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(name)  # noqa: PTH108 - same
        raise _cannot_write(path, error) from error


def _cannot_write(path: Path, error: OSError) -> StorageError:
    return StorageError(
        f"{path} cannot be written: {error.strerror}.",
        remedy="Check free space and rights of the data root, then run it again.",
    )


def read_regular(folder: Path, name: str, *, limit: int) -> bytes | None:
    """Read a file that a pane may have written: relative to its folder, no links, bounded.

    Args:
        folder: A folder outside the pane's power to replace.
        name: A relative path; every part is opened without following links.
        limit: Largest size in bytes that is accepted.

    Returns:
        The content, or None where there is no such regular file within the limit.
    """
    try:
        handle = open_beneath(folder, name)
    except OSError:
        return None
    info = os.fstat(handle)
    if not stat.S_ISREG(info.st_mode) or info.st_size > limit:
        os.close(handle)
        return None
    with os.fdopen(handle, "rb") as stream:
        content = stream.read(limit + 1)
    return content if len(content) <= limit else None


def try_lock(handle: int) -> bool:
    """Take the exclusive lock of an open file without waiting; whether it is ours."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def open_beneath(folder: Path, name: str) -> int:
    """A read-only descriptor of `folder/name`, refusing symbolic links in every part of `name`.

    Raises:
        OSError: Something is missing, a link, or climbs out.
    """
    parts = Path(name).parts
    if not parts or Path(name).is_absolute() or ".." in parts:
        raise OSError(f"not a path beneath a folder: {name!r}")
    current = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts[:-1]:
            deeper = os.open(
                part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=current
            )
            os.close(current)
            current = deeper
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        return os.open(parts[-1], flags, dir_fd=current)
    finally:
        os.close(current)


def replace_beneath(folder: Path, name: str, content: bytes, *, mode: int = 0o600) -> None:
    """`write_atomically` for a place that a pane may have touched: follows no link in `name`.

    Raises:
        StorageError: A folder of `name` is missing or a link, or the disk refuses.
    """
    path = Path(name)
    temporary = f".{path.name}.{os.urandom(6).hex()}"
    try:
        parent = _folder_beneath(folder, path.parent.as_posix())
    except OSError as error:
        raise _cannot_write(folder / name, error) from error
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(temporary, flags, mode, dir_fd=parent), "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.rename(temporary, path.name, src_dir_fd=parent, dst_dir_fd=parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=parent)
        raise _cannot_write(folder / name, error) from error
    finally:
        os.close(parent)


def open_log_beneath(folder: Path, name: str) -> int:
    """A read-write descriptor of a regular file that only grows, made where it is missing.

    Raises:
        StorageError: It is a link or no regular file, or the disk refuses.
    """
    path = Path(name)
    try:
        parent = _folder_beneath(folder, path.parent.as_posix())
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            handle = os.open(path.name, flags, 0o600, dir_fd=parent)
        finally:
            os.close(parent)
        if stat.S_ISREG(os.fstat(handle).st_mode):
            return handle
        os.close(handle)
        raise OSError(errno.EINVAL, "it is not a regular file")
    except OSError as error:
        raise _cannot_write(folder / name, error) from error


def _folder_beneath(folder: Path, name: str) -> int:
    if name == ".":
        return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    handle = open_beneath(folder, name)
    if stat.S_ISDIR(os.fstat(handle).st_mode):
        return handle
    os.close(handle)
    raise NotADirectoryError(errno.ENOTDIR, "it is not a folder")
