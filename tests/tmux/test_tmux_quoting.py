"""What is removed from text, and that the rest reaches a real tmux byte for byte."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import UsageError
from tests.tmux.private_tmux import connected, private_server, tmux
from tmux_bridge.tmux.connection import ControlConnection
from tmux_bridge.tmux.panes import Panes
from tmux_bridge.tmux.quoting import argument, checked_name, checked_pane, quoted, sanitise
from tmux_bridge.tmux.server import TmuxServer

Live = tuple[TmuxServer, ControlConnection]

NASTY = [
    "-x", "--", "- a", "~/x", "~", "~root", "a ~ b", "$HOME", "${HOME}", "$(id)", "`id`", "#{pid}",
    "#(id)", "#[fg=red]", "##", "# comment", "a;", ";", "a \\;", "\\", "\\\\", "ends \\", '"', '""',
    "'", "''", "'\"'", "{ }", "{", "}", "%1", "%%", "%begin 1 1 1", "%end 1 1 1", "\n", "a\nb",
    "\n\n", "a\n", " lead", "trail ", "\\n", "\\033", "\\u0041", "\\101", "!ls", "/help", "exit",
    "é", "✓ 👩‍👩‍👧 \U0001d518",
    "\u202eRTL", "\ufeffbom", "a\u2028b", "e\u0301", "=x", "A=b", "%if 1", "\u00a0",
]  # fmt: skip
texts = st.text(st.characters(codec="utf-8"), max_size=200)


@pytest.fixture(scope="module")
def live() -> Iterator[Live]:
    with private_server() as server, connected(server) as connection:
        yield server, connection


def carried(live: Live, text: str) -> str:
    server, connection = live
    connection.command(f"set-buffer -b q -- {quoted(text)}")
    return tmux(server, "show-buffer", "-b", "q").decode()


@pytest.mark.tmux
@pytest.mark.parametrize("text", NASTY)
def test_nasty_text_is_byte_exact_in_a_real_buffer(live: Live, text: str) -> None:
    assert carried(live, text) == text


@pytest.mark.tmux
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(text=texts)
def test_any_sanitised_text_is_byte_exact_in_a_real_buffer(live: Live, text: str) -> None:
    clean = sanitise(text)
    if clean:
        assert carried(live, clean) == clean


@pytest.mark.tmux
def test_any_sanitised_text_survives_being_quoted_twice(live: Live) -> None:
    server, connection = live
    for text in NASTY:
        inner = f"set-buffer -b q2 -- {quoted(text)}"
        connection.command(f'if-shell -F "1" {quoted(inner)}')
        assert tmux(server, "show-buffer", "-b", "q2").decode() == text


@pytest.mark.tmux
def test_the_last_gate_sanitises_by_itself(live: Live) -> None:
    server, connection = live
    Panes(connection, server).set_buffer("gate", "a\x1b[201~b\tc\r\nd")
    assert tmux(server, "show-buffer", "-b", "gate").decode() == "a[201~b    c\nd"


@pytest.mark.tmux
def test_text_of_control_characters_only_is_refused(live: Live) -> None:
    server, connection = live
    with pytest.raises(UsageError):
        Panes(connection, server).set_buffer("gate", "\x1b\x00\x9b")


@given(text=st.text())
def test_sanitised_text_holds_no_control_character_but_newline(text: str) -> None:
    clean = sanitise(text)
    assert all(unicodedata.category(char) not in {"Cc", "Cs"} or char == "\n" for char in clean)
    assert sanitise(clean) == clean
    clean.encode("utf-8")


def test_sanitising_keeps_everything_else_as_it_is() -> None:
    assert sanitise("a\tb\r\nc\rd\x1b[201~\x9b1me\x7f✓\u202e") == "a    b\nc\nd[201~1me✓\u202e"


@pytest.mark.parametrize("name", ["", "a b", "a.b", "a:b", "#{pid}", "a\n", "ä", "$1", "x" * 101])
def test_names_with_anything_but_plain_characters_are_refused(name: str) -> None:
    with pytest.raises(UsageError):
        checked_name(name)


@pytest.mark.parametrize("pane", ["", "1", "%", "%1 ", "%1;", "=x", "%1\n", "%-1"])
def test_panes_are_ids_only(pane: str) -> None:
    with pytest.raises(UsageError):
        checked_pane(pane)


def test_only_a_trailing_semicolon_of_an_argument_is_escaped() -> None:
    assert [argument(value) for value in ("a;", ";", "a\\;", "a;b", "")] == [
        "a\\;", "\\;", "a\\\\;", "a;b", "",
    ]  # fmt: skip
