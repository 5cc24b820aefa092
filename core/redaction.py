"""What must not be read in a log, an error or a stored line: known secrets and their usual forms.

A process learns its own secrets once (its environment, its settings, a value on its way to a host)
and then asks `redacted` about every text that leaves it. Ids, hashes and ordinary words stay.
"""

from __future__ import annotations

import base64
import json
import os
import re
import threading
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote, urlsplit

MASK: Final = "[redacted]"
SHORTEST = 8
"""A shorter value is not looked for: it would blank ordinary words."""

LARGEST_AWS_FILE = 1 << 20
FEW_VALUES = 48
"""Up to so many, asking for each is quicker than looking at every position of a text."""

Plain = None | bool | int | float | str | list["Plain"] | dict[str, "Plain"]

_SECRET_NAME = re.compile(
    r"(?:_KEY|_TOKEN|_PAT|_CREDENTIALS?|_DSN|_AUTH)\Z|_?SECRET|PASSWORD|PASSWD|PASSPHRASE"
    r"|CONNECTION_?STR|CONNSTR|CUSTOM_HEADERS\Z|\AAWS_|\AAZURE_CLIENT_SECRET\Z",
    re.IGNORECASE,
)
_PLAIN_NAME = re.compile(
    r"\AAWS_(?:(?:DEFAULT_)?(?:REGION|PROFILE|OUTPUT)|CONFIG_FILE|SHARED_CREDENTIALS_FILE"
    r"|ENDPOINT_URL\w*|CA_BUNDLE|ROLE_(?:ARN|SESSION_NAME)|\w+_FILE|PAGER|MAX_ATTEMPTS|RETRY_MODE"
    r"|EC2_METADATA_\w+|STS_\w+|SDK_\w+|USE_\w+|EXECUTION_ENV|DEFAULTS_MODE|ACCOUNT_ID\w*)\Z"
)
"""Of `AWS_*`, what names a place or a way: a region blanked everywhere would make a log useless."""

_ID = r"(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])"
_NAMED = (
    r"aws[_-]?secret[_-]?access[_-]?key|secret[_-]?access[_-]?key|aws[_-]?session[_-]?token"
    r"|session[_-]?token|client[_-]?secret|account[_-]?key|shared[_-]?access[_-]?key"
    r"|(?:x[_-]?)?api[_-]?key|access[_-]?token|refresh[_-]?token|auth[_-]?token|password|passwd"
)
# Each form comes with words that a text must hold first, so that most texts meet no expression.
# No expression can start anew inside what it has passed: a long text costs its length, no more.
_FORMS: Final[tuple[tuple[tuple[str, ...], re.Pattern[str], str], ...]] = (
    (
        ("-----begin ",),
        re.compile(
            r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
            r"(?:.*?-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|.*)",
            re.DOTALL,
        ),
        MASK,
    ),
    (("sk-ant-",), re.compile(r"sk-ant-[A-Za-z0-9_-]{8,}"), MASK),
    (
        ("akia", "asia"),
        re.compile(
            rf"{_ID}(?:[^A-Za-z0-9/+]{{1,8}}(?:[A-Za-z_]{{1,30}}[^A-Za-z0-9/+]{{1,8}})?"
            r"(?![0-9a-f]{40}\b)[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+]))?"
        ),
        MASK,
    ),
    (
        ("authorization",),
        re.compile(
            r"(authorization[\"']?\s{0,4}[:=]\s{0,4}[\"']?(?:Basic|Bearer|SharedKey)\s{1,4})"
            r"[^\s\"',;]{4,}",
            re.IGNORECASE,
        ),
        rf"\1{MASK}",
    ),
    (
        ("bearer",),
        re.compile(
            r"\b(bearer\s{1,4})(?=[A-Za-z._~+/=-]{0,400}\d)[\w.~+/=-]{8,}", re.IGNORECASE
        ),
        rf"\1{MASK}",
    ),
    (
        ("eyj",),
        re.compile(r"(?<![\w-])eyJ[\w-]{8,}\.eyJ[\w-]{8,}(?:\.[\w-]*){0,3}"),
        MASK,
    ),
    (
        ("sig=", "sig%3d"),
        re.compile(r"\b(sig(?:=|%3D))[\w%/+=.-]{16,}", re.IGNORECASE),
        rf"\1{MASK}",
    ),
    (
        ("key", "token", "secret", "passw"),
        re.compile(
            rf"(?<![A-Za-z])((?:{_NAMED})\\?[\"']?\s{{0,4}}[:=]\s{{0,4}}\\?[\"']?)"
            r"(?!\[redacted\]|\*{3}|None\b|null\b)[^\s\"',;&\\]{8,}",
            re.IGNORECASE,
        ),
        rf"\1{MASK}",
    ),
    (
        ("://",),
        re.compile(r"(://[^\s/?#:@\"'<>]{0,256}):(?!\[redacted\]@)[^\s/?#\"'<>]{1,1024}@"),
        rf"\1:{MASK}@",
    ),
)  # fmt: skip


class Redactor:
    """Knows secrets by value and by form. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: frozenset[str] = frozenset()
        self._values: tuple[str, ...] = ()
        self._by_start: dict[str, tuple[str, ...]] = {}

    def learn(self, *values: str) -> None:
        """From now on these are masked, as they are and as JSON, URLs and Base64 write them."""
        with self._lock:
            known = self._known.union(form for value in values for form in _written(value))
            if known == self._known:
                return
            self._known = known
            # The longer ones first: one may be a part of another.
            self._values = tuple(sorted(known, key=len, reverse=True))
            starts: dict[str, tuple[str, ...]] = {}
            for value in self._values:
                starts[value[:SHORTEST]] = (*starts.get(value[:SHORTEST], ()), value)
            self._by_start = starts

    def text(self, text: str) -> str:
        """The text with every secret masked."""
        if len(text) < SHORTEST:
            return text
        text = self._without_values(text)
        lower = text.lower()
        for words, form, mask in _FORMS:
            for word in words:
                if word in lower:
                    text = form.sub(mask, text)
                    break
        return text

    def _without_values(self, text: str) -> str:
        values, by_start = self._values, self._by_start
        if len(values) <= FEW_VALUES:
            for value in values:
                if value in text:
                    text = text.replace(value, MASK)
            return text
        return _masked(text, by_start)


def _masked(text: str, by_start: Mapping[str, tuple[str, ...]]) -> str:
    """One way along the text, whatever the number of values."""
    parts: list[str] = []
    kept = position = 0
    last = len(text) - SHORTEST
    while position <= last:
        for value in by_start.get(text[position : position + SHORTEST], ()):
            if text.startswith(value, position):
                parts += (text[kept:position], MASK)
                position = kept = position + len(value)
                break
        else:
            position += 1
    return text if not parts else "".join((*parts, text[kept:]))


def _written(value: str) -> Iterator[str]:
    """The forms in which a value may appear, those that are too short left out."""
    stripped = value.strip()
    forms = {stripped, json.dumps(stripped)[1:-1], json.dumps(stripped, ensure_ascii=False)[1:-1]}
    forms |= {quote(stripped, safe=""), quote(stripped), repr(stripped)[1:-1]}
    forms.add(base64.b64encode(stripped.encode("utf-8", "surrogateescape")).decode())
    if "\n" in stripped:
        # A trace shows a text of several lines line by line.
        forms |= {line.strip() for line in stripped.splitlines() if len(line.strip()) >= 20}
    return (form for form in forms if len(stripped) >= SHORTEST and len(form) >= SHORTEST)


def secrets_of(environ: Mapping[str, str]) -> Iterator[str]:
    """The values of an environment that are secret by their name, and passwords inside URLs."""
    for name, value in environ.items():
        if _SECRET_NAME.search(name) and not _PLAIN_NAME.search(name) and not _is_place(value):
            yield value
            yield from _parts_of(value)
        yield from url_secrets(value)


def aws_file_secrets(environ: Mapping[str, str]) -> Iterator[str]:
    """The secrets of AWS's own credentials file; none where it cannot be read."""
    chosen = environ.get("AWS_SHARED_CREDENTIALS_FILE")
    home = Path(environ.get("HOME") or "/nonexistent")
    path = Path(chosen).expanduser() if chosen else home / ".aws" / "credentials"
    try:
        with path.open(encoding="utf-8", errors="replace") as stream:
            content = stream.read(LARGEST_AWS_FILE)
    except (OSError, ValueError):
        return
    for line in content.splitlines():
        name, _, value = line.partition("=")
        if name.strip().lower() in {"aws_secret_access_key", "aws_session_token"}:
            yield value.strip()


def url_secrets(value: str) -> Iterator[str]:
    """The password of a URL, as it is written and as it is meant, and its Basic form."""
    if "://" not in value or "@" not in value:
        return
    try:
        parts = urlsplit(value)
        user, password = parts.username or "", parts.password
    except ValueError:
        return
    if password:
        yield password
        yield unquote(password)
        yield base64.b64encode(f"{unquote(user)}:{unquote(password)}".encode()).decode()


def _parts_of(value: str) -> Iterator[str]:
    """The secret fields of a connection string (`AccountKey=...;`), a header or a DSN."""
    for part in re.split(r"[;\n]", value):
        name, _, inner = part.partition("=")
        if inner and re.search(r"key|password|pwd|secret|sig", name, re.IGNORECASE):
            yield inner


def _is_place(value: str) -> bool:
    """A path that exists is the place of a secret, not the secret."""
    try:
        return value.startswith("/") and Path(value).exists()
    except (OSError, ValueError):
        return False


_process = Redactor()
"""One per process: a secret that one part learnt must not appear in what another part writes."""


def learn(*values: str) -> None:
    """This process knows these values from now on."""
    _process.learn(*values)


def learn_environment(environ: Mapping[str, str] | None = None) -> None:
    """This process knows the secrets of its environment, and of AWS's file, from now on."""
    environ = os.environ if environ is None else environ
    _process.learn(*secrets_of(environ), *aws_file_secrets(environ))


def redacted(text: str) -> str:
    """The text with `[redacted]` for every secret."""
    return _process.text(text)


def redacted_all(value: Plain) -> Plain:
    """The same for every text inside a JSON value, names included."""
    if isinstance(value, str):
        return _process.text(value)
    if isinstance(value, dict):
        return {_process.text(name): redacted_all(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [redacted_all(one) for one in value]
    return value


def redacted_fields(document: Mapping[str, Plain], names: Collection[str]) -> dict[str, Plain]:
    """Only what people read: the texts that stand under one of these names, at any depth.

    For documents of which the other fields are acted upon, such as an address.
    """
    return {
        name: redacted_all(one) if name in names else _words_masked(one, names)
        for name, one in document.items()
    }


def _words_masked(value: Plain, names: Collection[str]) -> Plain:
    if isinstance(value, dict):
        return dict(redacted_fields(value, names))
    if isinstance(value, list | tuple):
        return [_words_masked(one, names) for one in value]
    return value
