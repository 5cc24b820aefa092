"""Whom the agent's front answers: everybody, who shows the key, or one Front Door profile."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from core.clock import wait_for
from core.hosts.instance.agent.guard import FRONT_DOOR_HEADER, KEY_HEADER, KEY_VARIABLE
from core.hosts.instance.commands import BY_KEY, OPEN, by_front_door
from core.hosts.instance.variables import ORIGIN_HEADER, ORIGIN_KEY, RESERVED, checked_name
from core.models.release import MARKER_PATH
from tests.site.instance_kit import InstanceUnderTest, instance

KEY = "0123456789abcdef" * 4
PROFILE = "A4C1E5B0-0000-4000-8000-00000000ABCD"
SHOWS_ALL = """
import http.server, json, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps([dict(self.headers), dict(os.environ)]).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *parts):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


@pytest.fixture(scope="module")
def shared() -> Iterator[InstanceUnderTest]:
    with instance() as one:
        one.deploy({"Procfile": "web: exec python3 app.py\n", "app.py": SHOWS_ALL})
        yield one


@pytest.fixture
def guarded(shared: InstanceUnderTest) -> InstanceUnderTest:
    """The shared instance; nothing but who shows the key is answered."""
    assert taken(shared, BY_KEY, {"API_KEY": "value", ORIGIN_KEY: KEY})["ok"]
    return shared


def taken(one: InstanceUnderTest, guard: str, variables: dict[str, str]) -> dict[str, object]:
    source = one.base / "variables.json"
    source.write_text(json.dumps(variables))
    return one.run("variables", "--variables", f"file:{source}", "--guard", guard)


def status_of(one: InstanceUnderTest, path: str = "/", **headers: str) -> int:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return requests.get(f"{one.url}{path}", headers=named, timeout=10).status_code


def test_product_and_agent_agree_on_names() -> None:
    assert (ORIGIN_KEY, ORIGIN_HEADER.lower()) == (KEY_VARIABLE, KEY_HEADER)
    assert ORIGIN_KEY not in RESERVED
    with pytest.raises(Exception, match="set by the product"):
        checked_name(ORIGIN_KEY)


def test_only_who_shows_the_key_is_answered(guarded: InstanceUnderTest) -> None:
    assert status_of(guarded, x_tmux_builder_origin=KEY) == 200
    assert status_of(guarded) == 403
    assert status_of(guarded, x_tmux_builder_origin=KEY[:-1]) == 403
    assert status_of(guarded, x_tmux_builder_origin="") == 403
    assert status_of(guarded, x_azure_fdid=KEY) == 403
    twice = requests.Request("GET", guarded.url, headers={ORIGIN_HEADER: f"{KEY}, {KEY}"})
    assert requests.Session().send(twice.prepare(), timeout=10).status_code == 403
    assert guarded.status()["guard"] == "key"


def test_the_instance_itself_may_look_at_its_marker_alone(guarded: InstanceUnderTest) -> None:
    assert status_of(guarded, f"/{MARKER_PATH}") == 200
    assert status_of(guarded, f"/{MARKER_PATH}/x") == 403


def test_the_program_gets_neither_the_key_nor_the_header(guarded: InstanceUnderTest) -> None:
    answer = requests.get(guarded.url, headers={ORIGIN_HEADER: KEY, "X-Own": "1"}, timeout=10)
    assert KEY not in answer.text
    headers, environment = answer.json()
    assert (headers["X-Own"], environment["API_KEY"]) == ("1", "value")
    assert KEY_VARIABLE not in environment
    assert KEY not in f"{guarded.status()}{guarded.run('log')}"
    holding = [path.name for path in guarded.root.rglob("*") if has_key(path)]
    assert holding == ["guard.json"]
    assert (guarded.root / "guard.json").stat().st_mode & 0o777 == 0o600


def test_a_guard_outlives_the_agent_and_a_command_that_does_not_name_it(
    guarded: InstanceUnderTest,
) -> None:
    guarded.kill()
    guarded.serve()
    assert status_of(guarded) == 403
    release = str(guarded.status()["release"])
    assert guarded.run("rollback", "--id", release)["ok"]
    assert wait_for(lambda: status_of(guarded, x_tmux_builder_origin=KEY) == 200, deadline_s=20)
    assert status_of(guarded) == 403


def test_a_key_that_is_not_there_is_said_and_the_former_guard_stays(
    guarded: InstanceUnderTest,
) -> None:
    answer = taken(guarded, BY_KEY, {"API_KEY": "value"})
    assert answer["error"] == {
        "code": "no_origin_key",
        "message": "The key that the site's CDN shows to its instance is not kept any more.",
    }
    assert status_of(guarded) == 403
    assert status_of(guarded, x_tmux_builder_origin=KEY) == 200


def test_a_guard_that_cannot_be_read_lets_nobody_in(guarded: InstanceUnderTest) -> None:
    (guarded.root / "guard.json").write_text("{}")
    assert guarded.status()["guard"] == "unreadable"
    assert status_of(guarded, x_tmux_builder_origin="") == 403


def test_one_front_door_profile_is_answered_and_an_open_site_answers_everybody(
    guarded: InstanceUnderTest,
) -> None:
    assert taken(guarded, by_front_door(PROFILE), {"API_KEY": "value"})["ok"]
    assert guarded.status()["guard"] == "front-door"
    assert status_of(guarded, x_azure_fdid=PROFILE) == 200
    assert status_of(guarded, x_azure_fdid=PROFILE.lower()) == 200
    assert status_of(guarded, x_azure_fdid=PROFILE.replace("A", "B")) == 403
    assert FRONT_DOOR_HEADER == "x-azure-fdid"
    assert taken(guarded, OPEN, {"API_KEY": "value"})["ok"]
    assert status_of(guarded) == 200


def has_key(path: Path) -> bool:
    return path.is_file() and KEY.encode() in path.read_bytes()
