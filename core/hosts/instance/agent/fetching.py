"""Archives from an object store: `s3://`, `https://` (Azure blobs) and `file://`."""

from __future__ import annotations

import http.client
import os
import shutil
import subprocess
import urllib.parse
from pathlib import Path
from typing import IO

from .answering import AgentError
from .metadata import open_with_token

TIMEOUT_S = 300
CHUNK_BYTES = 1024 * 1024
_BLOBS = "https://storage.azure.com/"


def fetch_archive(source: str, target: Path, size_bytes: int) -> None:
    """Write what lies at the address to `target`, never more than a byte over its size.

    Raises:
        AgentError: It cannot be fetched, or it is larger than it should be.
    """
    if source.startswith("s3://"):
        run_aws(["s3", "cp", "--only-show-errors", source, str(target)])
    elif source.startswith("https://"):
        with open_with_token(source, _BLOBS, {"x-ms-version": "2023-11-03"}) as answer:
            _copy(answer, target, size_bytes)
    elif source.startswith("file://"):
        path = Path(urllib.parse.unquote(urllib.parse.urlsplit(source).path))
        try:
            with path.open("rb") as content:
                _copy(content, target, size_bytes)
        except FileNotFoundError as error:
            raise AgentError("fetch_failed", f"{path} is not there.") from error
    else:
        raise AgentError("fetch_failed", f"{source[:200]!r} is no address of an archive.")


def run_aws(arguments: list[str]) -> bytes:
    """What the AWS command line program prints.

    Raises:
        AgentError: It is missing, was refused or failed; its last words are in the sentence.
    """
    program = shutil.which("aws")
    if program is None:
        raise AgentError("fetch_failed", "The instance has no aws program.")
    try:
        done = subprocess.run(
            [program, *arguments], check=False, timeout=TIMEOUT_S, env=_environment(),
            stdin=subprocess.DEVNULL, capture_output=True,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise AgentError("fetch_failed", "The aws program did not end in time.") from error
    if done.returncode != 0:
        reason = " ".join(done.stderr.decode(errors="replace").split())[-300:]
        is_refused = any(word in reason for word in ("(403)", "AccessDenied", "Forbidden"))
        raise AgentError(
            "fetch_refused" if is_refused else "fetch_failed",
            f"aws {arguments[0]} {arguments[1]} failed: {reason}",
        )
    return done.stdout


def _environment() -> dict[str, str]:
    kept = ("PATH", "AWS_REGION", "AWS_DEFAULT_REGION")
    known = {name: os.environ[name] for name in kept if name in os.environ}
    return {"HOME": "/root", "LANG": "C.UTF-8", "AWS_PAGER": "", **known}


def _copy(content: IO[bytes], target: Path, size_bytes: int) -> None:
    left = size_bytes + 1
    try:
        with target.open("wb") as written:
            while left and (chunk := content.read(min(CHUNK_BYTES, left))):
                written.write(chunk)
                left -= len(chunk)
    except (http.client.HTTPException, ConnectionError, TimeoutError) as error:
        raise AgentError("fetch_failed", "The store stopped sending.") from error
