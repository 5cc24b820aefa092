"""Brings an instance's agent up to date, then lets it run the command; prints nothing of its own.

An instance runs this from a here-document, as root: `python3 - ROOT REGION URL SHA256 WORDS...`.
REGION, URL and SHA256 are `-` where they do not apply. It stands alone, on Python 3.9, with nothing
but the standard library; the agent does everything else, and is known by its sha256.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

FIRST_START_S = 600
FETCH_S = 120
IMDS = "http://169.254.169.254"
LARGEST_AGENT_BYTES = 4 * 1024 * 1024


class FetchError(Exception):
    """The agent cannot be brought here; holds the code of the answer."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """A token goes to the address that it was meant for."""

    def redirect_request(self, *_arguments: object, **_named: object) -> None:
        return None


def main(arguments: list[str]) -> None:
    root, region, url, sha256, *words = arguments
    agent = Path(root) / "agent.pyz"
    if region != "-":
        os.environ["AWS_REGION"] = os.environ["AWS_DEFAULT_REGION"] = region
    try:
        if sha256 != "-" and digest_of(agent) != sha256:
            wait_for_first_start(agent)
            bring(agent, url, sha256)
        elif not agent.exists():
            raise FetchError("not_installed", "The instance has no agent yet.")
    except FetchError as error:
        refuse(error.code, str(error))
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        refuse("fetch_failed", f"The agent cannot be brought to the instance: {error}")
    os.execv(sys.executable, [sys.executable, str(agent), "--root", root, *words])  # noqa: S606


def wait_for_first_start(agent: Path) -> None:
    """A new instance may still be installing packages."""
    program = shutil.which("cloud-init")
    if program is not None and not agent.exists():
        subprocess.run(
            [program, "status", "--wait"], check=False, timeout=FIRST_START_S,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip


def bring(agent: Path, url: str, sha256: str) -> None:
    """Fetch beside, prove, rename."""
    agent.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    beside = agent.with_name(f".agent.{os.getpid()}")
    try:
        if url.startswith("s3://"):
            fetch_from_s3(url, beside)
        else:
            beside.write_bytes(fetched_blob(url))
        if digest_of(beside) != sha256:
            raise FetchError("archive_refused", "The agent in the store is not the one wanted.")
        beside.chmod(0o755)
        beside.replace(agent)
    finally:
        if beside.exists():
            beside.unlink()


def fetch_from_s3(url: str, target: Path) -> None:
    aws = shutil.which("aws")
    if aws is None:
        raise FetchError("fetch_failed", "The instance has no aws program.")
    done = subprocess.run(
        [aws, "s3", "cp", "--only-show-errors", url, str(target)], check=False, timeout=FETCH_S,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    if done.returncode != 0:
        reason = done.stderr.decode(errors="replace").strip()[-400:]
        code = "fetch_refused" if "403" in reason or "AccessDenied" in reason else "fetch_failed"
        raise FetchError(code, f"The agent cannot be fetched: {reason}")


def fetched_blob(url: str) -> bytes:
    headers = {"Authorization": f"Bearer {token()}", "x-ms-version": "2023-11-03"}
    opener = urllib.request.build_opener(NoRedirect)
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - https, checked before
    try:
        with opener.open(request, timeout=FETCH_S) as answer:
            content: bytes = answer.read(LARGEST_AGENT_BYTES)
            return content
    except urllib.error.HTTPError as error:
        code = "fetch_refused" if error.code in (401, 403) else "fetch_failed"
        raise FetchError(code, f"The store answered {error.code} for the agent.") from error


def token() -> str:
    """A token of the instance's own identity for blobs, from Azure's metadata service."""
    asked = {"api-version": "2018-02-01", "resource": "https://storage.azure.com/"}
    base = os.environ.get("TMUX_BUILDER_IMDS", IMDS)
    request = urllib.request.Request(  # noqa: S310 - the metadata service speaks http
        f"{base}/metadata/identity/oauth2/token?{urllib.parse.urlencode(asked)}",
        headers={"Metadata": "true"},
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=30) as answer:
        return str(json.load(answer)["access_token"])


def digest_of(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None


def refuse(code: str, message: str) -> None:
    answer = {"ok": False, "error": {"code": code, "message": message[:600]}}
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
    sys.exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
