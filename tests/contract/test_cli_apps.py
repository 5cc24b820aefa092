"""A program's variables, its output, drift and destruction, on a real worker and local host."""

from __future__ import annotations

import os
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from core.models.session import SessionKey
from core.paths import DataRoot, runtime_paths
from tests.conftest import end_holder
from tests.unit.cli_program import call, in_terminal
from tui.wiring import build_services

SECRET = "sk-live-never-shown-0123456789"
APP = """
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        key = os.environ.get("API_KEY", "")
        body = f"<!doctype html><title>x</title><p>{len(key)} letters {'.' * 100}</p>".encode()
        self.send_response(200)
        self.send_header("content-type", "text/html; charset=utf-8")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_arguments):
        pass
print("starting with", len(os.environ.get("API_KEY", "")), "letters", flush=True)
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


@pytest.fixture
def site(place: DataRoot) -> SessionKey:
    """A dynamic session whose program says how long its key is; `-` means it."""
    services = build_services(None, None)
    user = services.users.create("ana@example.org", "5550100199", start=False).user
    made = services.sessions.create(user.user_id, site_type="dynamic", start=False)
    key = made.session.key
    services.names.remember(key)
    services.environment.store.close()
    source = place.session(key.user_id, key.session_id).source
    (source / "app.py").write_text(APP)
    (source / "Procfile").write_text("web: exec python3 app.py\n")
    return key


def served(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return bytes(answer.read()).decode()


def holding(secret: str, *folders: Path) -> list[Path]:
    """Files below these folders in which the secret stands."""
    files = (path for folder in folders for path in folder.rglob("*") if path.is_file())
    return [path for path in files if secret.encode() in path.read_bytes()]


def command_lines() -> Iterator[str]:
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            yield (process / "cmdline").read_bytes().decode(errors="replace")


def test_a_value_reaches_the_program_and_is_kept_in_the_facility_only(
    place: DataRoot, site: SessionKey, own_account: Path
) -> None:
    first = call("session", "env", "set", "-", "API_KEY", text=f"{SECRET}\n")
    assert (first.code, SECRET in first.out + first.err) == (0, False), first.err
    url = call("deploy", "-", "--to", "5").out.splitlines()[-1]
    assert f"{len(SECRET)} letters" in served(url)
    listed = call("session", "env", "list", "-", "--json").document["data"]
    assert listed == {"user_id": site.user_id, "session_id": site.session_id, "names": ["API_KEY"]}

    kept = place.variables(site.user_id, site.session_id)
    assert holding(SECRET, place.path, runtime_paths(place, os.environ).path, own_account) == [kept]
    assert kept.stat().st_mode & 0o077 == 0
    assert not [line for line in command_lines() if SECRET in line]

    assert call("session", "env", "set", "-", "API_KEY", text="short").code == 0
    assert "5 letters" in served(url)
    assert call("session", "env", "unset", "-", "API_KEY").code == 0
    assert "0 letters" in served(url)
    said = call("session", "logs", "-", "--app", "--lines", "3", "--json").document["data"]
    assert said["text"].splitlines() == [
        f"starting with {count} letters" for count in (len(SECRET), 5, 0)
    ]
    assert holding("starting with 5", place.store) == []


def test_a_person_types_a_value_that_is_not_shown(place: DataRoot, site: SessionKey) -> None:
    code, text = in_terminal(
        ["session", "env", "set", "-", "API_KEY"], after="not shown", keys=f"{SECRET}\n".encode()
    )
    assert (code, SECRET in text) == (0, False), text
    assert holding(SECRET, place.path) == [place.variables(site.user_id, site.session_id)]


def test_nothing_on_stdin_is_no_value(place: DataRoot, site: SessionKey) -> None:
    ended = call("session", "env", "set", "-", "API_KEY", "--json")
    assert (ended.code, ended.document["error"]["code"]) == (2, "invalid_value")
    bad = call("session", "env", "set", "-", "1KEY", "--json", text=SECRET)
    assert (bad.code, bad.document["error"]["code"]) == (2, "invalid_variable")
    assert SECRET not in bad.out + bad.err


def test_what_changed_on_the_host_is_a_drift_until_the_next_deploy(
    place: DataRoot, site: SessionKey
) -> None:
    never = call("session", "drift", "-", "--json")
    assert (never.code, never.document["error"]["code"]) == (6, "not_deployed")
    call("deploy", "-", "--to", "5")
    well = call("session", "drift", "-", "--json").document
    assert (well["exit"], well["data"]["drift"]) == (0, [])

    end_holder(runtime_paths(place, os.environ).host_lock)
    drifted = call("session", "drift", "-", "--json").document
    assert (drifted["exit"], drifted["error"]["code"]) == (6, "drifted")
    (row,) = drifted["data"]["drift"]
    assert (row["kind"], row["what"], row["found"]) == ("local_site", "release", "none")
    assert call("deploy", "-", "--to", "5").code == 0
    assert call("session", "drift", "-").code == 0


def test_a_destroy_says_beforehand_and_afterwards_what_goes(
    place: DataRoot, site: SessionKey
) -> None:
    call("session", "env", "set", "-", "API_KEY", text=SECRET)
    call("deploy", "-", "--to", "5")
    plan = call("destroy", "-", "-n", "--json").document["data"]["plan"]
    assert [(row["action"], row["kind"]) for row in plan] == [("delete", "local_site")]
    gone = call("destroy", "-", "--confirm", site.session_id, "--plain")
    assert (gone.code, gone.out.split("\t")[:2]) == (0, ["deleted", "local_site"])
    assert f"deleted  local_site  {plan[0]['id']}  (0 left)" in gone.err
    assert call("destroy", "-", "-n", "--json").document["data"]["plan"] == []
    assert holding(SECRET, place.path) == []
