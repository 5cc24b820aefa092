"""Microsoft's own emulator of blob storage, started for a test run; it ends with its parent."""

from __future__ import annotations

import base64
import os
import re
import subprocess
from pathlib import Path

from tests.cloud.aws.certificates import Certificates

CHECKOUT = Path(__file__).resolve().parent.parent.parent
PROGRAM = CHECKOUT / ".tools" / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
ENDS_WITH_PARENT = Path(__file__).with_name("end_with_parent.js")
ACCOUNTS = 100

_LISTENS = re.compile(r"successfully listens on (https://127\.0\.0\.1:\d+)")


class Azurite:
    """A running emulator, over https, with bearer tokens, and accounts `pool000` to `pool099`."""

    def __init__(self, certificates: Certificates) -> None:
        assert PROGRAM.exists(), f"{PROGRAM} is missing: make test installs it"
        self._process = subprocess.Popen(
            [
                "node", "--require", str(ENDS_WITH_PARENT), str(PROGRAM),
                "--blobHost", "127.0.0.1", "--blobPort", "0", "--oauth", "basic",
                "--cert", str(certificates.leaf), "--key", str(certificates.leaf),
                "--inMemoryPersistence", "--disableTelemetry", "--skipApiVersionCheck", "--silent",
            ],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**os.environ, "AZURITE_ACCOUNTS": _accounts()},
        )  # fmt: skip
        self.url = self._listening()

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=20)

    def _listening(self) -> str:
        assert self._process.stdout is not None
        said = []
        for line in self._process.stdout:
            said.append(line)
            if match := _LISTENS.search(line):
                return match[1]
        raise AssertionError(f"Azurite did not start: {''.join(said)}")


def pool_account(number: int) -> str:
    return f"pool{number % ACCOUNTS:03d}"


def _accounts() -> str:
    """Accounts need keys, which nobody uses: every call brings a token."""
    key = base64.b64encode(os.urandom(32)).decode()
    return ";".join(f"{pool_account(number)}:{key}" for number in range(ACCOUNTS))
