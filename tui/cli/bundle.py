"""The redacted bundle: versions, settings, counts, checks and the ends of the logs."""

from __future__ import annotations

import json
import platform
import re
import zipfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from core.clock import to_text
from core.errors import BuilderError, LoginNeededError
from core.files import make_private_folder, read_regular
from core.login import read_login
from core.paths import state_folder
from core.redaction import learn, redacted, url_secrets
from tui.cli.call import Call
from tui.cli.faults import fault_log
from tui.cli.verbs.config import shown_value
from tui.cli.version import VERSION

if TYPE_CHECKING:
    from core.models.execution import Json

LOG_TAIL_BYTES = 200_000
LOG_LIMIT_BYTES = 50_000_000
EXECUTIONS = 20

_EMAIL = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]+@[\w-]+(?:\.[\w-]+)+")
_PHONE = re.compile(r"(?<![\w.:-])(?!\d{4}-\d\d-\d\d)\+?\d(?:[\s.()-]?\d){6,14}(?![\w.:-])")


def write_bundle(call: Call) -> Path:
    """A ZIP file in the state folder, for nobody else to read.

    Raises:
        StorageError: It cannot be written.
    """
    folder = state_folder(call.environ) / "reports"
    make_private_folder(folder)
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    path = folder / f"tmux-builder-{stamp}.zip"
    names = _customers(call)
    learn(*_known_secrets(call))
    with path.open("wb") as stream:
        path.chmod(0o600)
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as bundle:
            for name, text in _parts(call):
                bundle.writestr(name, redact(text, names))
    return path


def redact(text: str, names: Iterable[str] = ()) -> str:
    """Masks e-mails, phones, secrets, and the given names of customers."""
    text = redacted(text)
    for name in names:
        text = text.replace(name, "***")
    text = _EMAIL.sub("***@***", text)
    return _PHONE.sub("+***", text)


def _parts(call: Call) -> Iterable[tuple[str, str]]:
    """(name in the bundle, text); a part that cannot be had says why."""
    yield "about.json", _json({"version": VERSION, "python": platform.python_version(),
                               "system": " ".join(platform.uname()[:1] + platform.uname()[2:5:2]),
                               "made_at": to_text(datetime.now(UTC))})  # fmt: skip
    makers: dict[str, Callable[[], Json]] = {
        "settings.json": lambda: _settings(call),
        "counts.json": call.services.status.counts,
        "doctor.json": lambda: [
            [one.id, str(one.state), one.found, one.fix]
            for one in call.services.doctor.run(set()).checks
        ],
        "executions.json": lambda: _executions(call),
    }
    for name, make in makers.items():
        try:
            yield name, _json(make())
        except BuilderError as error:
            yield name, f"{error.message}\n"
    for path in (call.runtime.worker_log, call.runtime.host_log, fault_log(call.environ)):
        content = read_regular(path.parent, path.name, limit=LOG_LIMIT_BYTES) or b""
        yield f"logs/{path.name}", content[-LOG_TAIL_BYTES:].decode(errors="replace")


def _known_secrets(call: Call) -> Iterable[str]:
    """What this process would not learn by itself; a token that is refused is none."""
    yield from url_secrets(call.settings.store_url or "")
    with suppress(LoginNeededError):
        read_login(call.environ)


def _settings(call: Call) -> Json:
    settings = call.settings
    return {key: [str(shown_value(settings, key)), settings.origin(key)] for key in settings.values}


def _executions(call: Call) -> Json:
    """The newest runs: states and errors, never what anybody wrote."""
    found: list[Json] = []
    for row in call.services.sessions.list().sessions[:EXECUTIONS]:
        if row.execution is not None:
            document = call.services.status.document(row.execution.execution_id)
            found.append({k: document[k] for k in ("execution_id", "status", "steps", "error")})
    return found


def _customers(call: Call) -> list[str]:
    """Every e-mail, phone and name that the store knows."""
    try:
        users = [row.user for row in call.services.users.list().users]
    except BuilderError:
        return []
    known = {part for user in users for part in (user.email, user.phone, user.name) if part}
    return sorted((part for part in known if len(part) > 2), key=len, reverse=True)


def _json(value: Json) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False)
