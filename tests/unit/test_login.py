"""The stored token: how it is kept, read, refused and forgotten, and the verb around it."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from core.errors import LoginNeededError, UsageError
from core.login import (
    LoginKind,
    claude_credentials,
    read_login,
    remove_login,
    store_login,
    stored_in,
)
from core.redaction import MASK, redacted
from tests.unit.cli_program import call, in_terminal

TOKEN = "sk-ant-oat01-a-token-for-tests-0123456789"


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path)}


def test_a_token_is_kept_for_its_owner_alone(environ: dict[str, str]) -> None:
    os.umask(0o022)
    store_login(environ, f"\n{TOKEN}\n")
    path = stored_in(environ)
    assert (stat.S_IMODE(path.stat().st_mode), path.stat().st_size < 200) == (0o600, True)
    found = read_login(environ)
    assert found is not None
    assert (found.kind, found.value) == (LoginKind.OAUTH_TOKEN, TOKEN)
    assert TOKEN not in repr(found)
    assert redacted(f"it was {TOKEN}") == f"it was {MASK}"


@pytest.mark.parametrize(
    ("value", "kind", "variable"),
    [
        ("sk-ant-api03-0123456789", None, "ANTHROPIC_API_KEY"),
        ("sk-ant-oat01-0123456789", None, "CLAUDE_CODE_OAUTH_TOKEN"),
        ("gateway-0123456789", LoginKind.AUTH_TOKEN, "ANTHROPIC_AUTH_TOKEN"),
        ("sk-ant-api03-0123456789", LoginKind.AUTH_TOKEN, "ANTHROPIC_AUTH_TOKEN"),
    ],
)
def test_each_kind_travels_in_its_own_variable(
    environ: dict[str, str], value: str, kind: LoginKind | None, variable: str
) -> None:
    store_login(environ, value, kind)
    assert claude_credentials(environ) == {variable: value}


def test_the_environment_wins_over_the_stored_token(environ: dict[str, str]) -> None:
    store_login(environ, TOKEN)
    both = {**environ, "ANTHROPIC_API_KEY": "k", "AWS_BEARER_TOKEN_BEDROCK": "b"}
    expected = {"ANTHROPIC_API_KEY": "k", "AWS_BEARER_TOKEN_BEDROCK": "b"}
    assert claude_credentials(both) == expected
    assert claude_credentials({**environ, "CLAUDE_CODE_USE_VERTEX": "1"}) == {}


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o660, 0o644])
def test_a_file_that_others_can_reach_is_refused_with_its_chmod(
    environ: dict[str, str], mode: int
) -> None:
    store_login(environ, TOKEN)
    stored_in(environ).chmod(mode)
    with pytest.raises(LoginNeededError) as raised:
        claude_credentials(environ)
    assert raised.value.remedy == f"chmod 600 {stored_in(environ)}"
    assert raised.value.exit_code == 4


def test_a_link_is_refused_even_to_a_good_file(environ: dict[str, str], tmp_path: Path) -> None:
    store_login(environ, TOKEN)
    stored_in(environ).rename(tmp_path / "elsewhere")
    stored_in(environ).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LoginNeededError, match="is a link"):
        read_login(environ)
    assert remove_login(environ)
    assert (tmp_path / "elsewhere").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_another_accounts_file_is_refused(environ: dict[str, str]) -> None:
    store_login(environ, TOKEN)
    os.chown(stored_in(environ), 12345, 12345)
    with pytest.raises(LoginNeededError, match="another account"):
        read_login(environ)


@pytest.mark.parametrize(
    "content", ["", TOKEN, f"PATH={TOKEN}", "ANTHROPIC_API_KEY=", "x" * 20_000, "\x00\xff"]
)
def test_a_file_without_a_token_is_refused_without_showing_it(
    environ: dict[str, str], content: str
) -> None:
    store_login(environ, TOKEN)
    stored_in(environ).write_text(content)
    with pytest.raises(LoginNeededError, match="holds no token") as raised:
        read_login(environ)
    assert "sk-ant" not in raised.value.message


def test_a_folder_or_a_pipe_in_its_place_is_refused_and_does_not_hang(
    environ: dict[str, str],
) -> None:
    path = stored_in(environ)
    path.mkdir(parents=True)
    with pytest.raises(LoginNeededError):
        read_login(environ)
    path.rmdir()
    os.mkfifo(path, 0o600)
    with pytest.raises(LoginNeededError, match="no regular file"):
        read_login(environ)


@pytest.mark.parametrize(
    "value", ["", "short", "two words here", "sk-ant-api03-\u00e9\u00e9\u00e9", "x" * 9000]
)
def test_what_can_be_no_token_is_refused_and_not_repeated(
    environ: dict[str, str], value: str
) -> None:
    with pytest.raises(UsageError) as raised:
        store_login(environ, value, LoginKind.API_KEY)
    assert not value or value not in raised.value.message
    assert not stored_in(environ).exists()


def test_an_unknown_prefix_needs_its_kind(environ: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="does not tell"):
        store_login(environ, "gateway-0123456789")


def test_the_verb_stores_shows_and_forgets_without_the_value() -> None:
    none = {"stored": False, "kind": None}
    stored = call("login", "--json", text=f"{TOKEN}\n")
    path = stored.document["data"]["path"]
    assert stored.document["data"] == {"stored": True, "kind": "oauth-token", "path": path}
    status = call("login", "--status", "--json")
    assert status.document["data"] == stored.document["data"]
    removed = call("login", "--remove", "--json")
    assert removed.document["data"] == {**none, "path": path}
    assert call("login", "--status", "--json").document["data"] == {**none, "path": path}
    for ended in (stored, status, removed):
        assert (ended.code, TOKEN in ended.out + ended.err) == (0, False)


def test_the_verb_says_which_one_wins_and_never_takes_an_argument() -> None:
    call("login", text=TOKEN)
    told = call("login", "--status", "--json", ANTHROPIC_API_KEY="sk-ant-api03-0123456789")
    assert told.document["warnings"][0]["code"] == "environment_wins"
    assert "0123456789" not in told.out
    refused = call("login", TOKEN, "--json")
    assert refused.code == 2
    assert call("login", "--status", "--remove").code == 2
    assert call("login", "--json").document["error"]["code"] in {"usage", "invalid_token"}


def test_a_refused_file_is_exit_four_with_its_chmod() -> None:
    path = Path(json.loads(call("login", "--json", text=TOKEN).out)["data"]["path"])
    path.chmod(0o644)
    ended = call("login", "--status", "--json")
    assert (ended.code, ended.document["error"]["fix"]) == (4, f"chmod 600 {path}")


def test_a_person_types_a_token_that_is_not_shown() -> None:
    code, text = in_terminal(["login"], after="not shown", keys=f"{TOKEN}\n".encode())
    assert (code, TOKEN in text) == (0, False), text
    assert call("login", "--status", "--plain").out.startswith("true\toauth-token\t")
