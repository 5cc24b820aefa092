"""The app's parts without a screen: actions, colours of a pane, prose, chat and list order."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.style import Style

from core.models.session import SessionKey
from core.models.states import Receipt, SessionState
from core.models.transcript import ChatItem, Speaker
from tests.tui import fake_services
from tui import quantities, sgr
from tui.actions import (
    ACTIONS,
    BY_ID,
    FORBIDDEN_KEYS,
    Action,
    Scope,
    bindings,
    is_letter,
    of_scopes,
)
from tui.chat_lines import Drawing, draw, starts_open
from tui.colour import prepare_colour
from tui.plain import clean, clip, fit, spread
from tui.prose import render, wrap
from tui.screens.pick_action import matching
from tui.session_detail import ChatEntry, weave
from tui.session_index import SessionIndex
from tui.situation import Situation
from tui.states import Glyphs
from tui.theme import Ink

KEY = SessionKey("u", "sess_20260112_100001")


def plain(lines: list[list[tuple[str, Style]]]) -> list[str]:
    return ["".join(text for text, _ in line).rstrip() for line in lines]


# Actions


def test_no_action_uses_a_key_that_terminals_or_tmux_take() -> None:
    keys = {key for action in ACTIONS for key in action.keys.split(",")}
    assert not keys & FORBIDDEN_KEYS


def test_every_key_that_types_a_letter_is_known_as_one() -> None:
    keys = {key for action in ACTIONS for key in action.keys.split(",") if key}
    named = {"enter", "escape", "tab", "up", "down", "left", "right", "home", "end", "delete"}
    named |= {"pageup", "pagedown"}
    function = {f"f{number}" for number in range(1, 13)}
    assert all(is_letter(key) or "+" in key for key in keys - named - function)


def test_ids_are_unique() -> None:
    assert len(BY_ID) == len(ACTIONS)


@pytest.mark.parametrize(
    "places",
    [
        (Scope.LIST, Scope.MOVE), (Scope.CHAT, Scope.MOVE), (Scope.PANE, Scope.MOVE),
        (Scope.SESSION, Scope.MAIN, Scope.APP), (Scope.LOG, Scope.APP), (Scope.DOCTOR, Scope.APP),
        (Scope.FORM, Scope.CHOICE), (Scope.FORM, Scope.TEXT), (Scope.CONFIRM, Scope.DIALOG),
        (Scope.WELCOME, Scope.APP), (Scope.MOVE, Scope.SESSION, Scope.MAIN, Scope.APP),
    ],
)  # fmt: skip
def test_no_two_actions_of_a_place_share_a_key(places: tuple[Scope, ...]) -> None:
    keys = [key for row in of_scopes(places) for key in row.keys.split(",") if key]
    assert len(keys) == len(set(keys))


def test_every_action_says_what_it_does() -> None:
    assert all(action.label and action.help for action in ACTIONS)
    assert all(action.shown_keys for action in ACTIONS)


def test_bindings_are_made_of_the_rows() -> None:
    made = {binding.key for binding in bindings(Scope.LIST)}
    assert made == {key for row in of_scopes([Scope.LIST]) for key in row.keys.split(",")}


def test_actions_that_are_not_possible_have_a_sentence() -> None:
    nothing = Situation()
    reasons = {row.id: row.reason(nothing) for row in ACTIONS if row.reason is not None}
    assert all(reasons.values())


def test_the_palette_finds_by_alias_and_puts_names_first() -> None:
    rows: list[tuple[Action, str | None]] = [(row, None) for row in ACTIONS if row.in_palette]
    assert [row.id for row, _ in matching(rows, "publish")] == ["deploy"]
    assert matching(rows, "dep")[0][0].id == "deploy"


# Colours of a captured pane


def test_plain_text_is_one_segment() -> None:
    assert [(s.text, s.style) for s in sgr.parse_row("hello")] == [("hello", Style())]


def test_colours_and_switches_are_understood() -> None:
    first, second, third = sgr.parse_row("\x1b[1;31mred\x1b[0m \x1b[38;5;208;48;2;1;2;3mx\x1b[m")
    assert (first.text, first.style) == ("red", Style(color="red", bold=True))
    assert second.style == Style()
    assert third.style == Style(color="color(208)", bgcolor="#010203")


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ("90", Style(color="bright_black")),
        ("105", Style(bgcolor="bright_magenta")),
        ("1;22", Style()),
        ("3;4;7;9", Style(italic=True, underline=True, reverse=True, strike=True)),
        ("31;39", Style()),
        ("38:2::9:8:7", Style(color="#090807")),
        ("4:3", Style(underline=True)),
        ("4:0", Style()),
        ("38;5", Style()),
        ("38;5;999", Style()),
        ("999;1", Style(bold=True)),
        ("", Style()),
    ],
)
def test_parameters(codes: str, expected: Style) -> None:
    assert sgr.parse_row(f"\x1b[{codes}mx")[-1].style == expected


def test_other_sequences_and_controls_never_get_through() -> None:
    row = "a\x1b]0;title\x07b\x1b[2Jc\x1b[?25ld\x07\x9be\x1b(Bf"
    text = "".join(segment.text for segment in sgr.parse_row(row))
    assert text == "abcdef"


def test_a_dense_frame_is_parsed_quickly_when_it_repeats() -> None:
    rows = [f"\x1b[38;5;{n % 256}m{'x' * 100}\x1b[0m" for n in range(50)]
    plain_s = _took(lambda: [row.split("m") for row in rows * 20])
    parsed_s = _took(lambda: [sgr.parse_row(row) for row in rows * 20])
    assert parsed_s < plain_s * 200 + 0.5


def _took(act: object) -> float:
    started = time.perf_counter()
    assert callable(act)
    act()
    return time.perf_counter() - started


# Text


def test_escape_sequences_and_direction_marks_are_taken_out() -> None:
    assert clean("a\x1b[31mb\x1b[0m\u202ec\x00\td\r\n") == "abc d\n"


def test_clip_and_fit_count_cells() -> None:
    assert clip("żółw 漢字 x", 8) == "żółw 漢…"
    assert cell_len(fit("漢字漢字", 5)) == 5
    assert clip("x", 0) == ""


def test_spread_gives_the_right_its_room() -> None:
    parts = spread([("a long left text", Ink.TEXT)], [(" right", Ink.TEXT)], 14)
    assert "".join(text for text, _ in parts) == "a long…  right"


def test_wrap_never_exceeds_its_width() -> None:
    text = "word " * 9 + "averyveryverylongwordwithoutspaces 漢字漢字漢字漢字"
    for line in wrap([(text, Ink.TEXT)], 11, first=[("- ", Ink.MUTED)]):
        assert sum(cell_len(part) for part, _ in line) <= 11


def test_prose_shows_lists_code_and_emphasis_without_their_marks() -> None:
    lines = plain(render("# Title\n- **one** `two`\n```py\nx = '[red]'\n```\n> said", 40))
    assert lines == ["Title", "• one two", "  x = '[red]'", "│ said"]


def test_quantities_are_short() -> None:
    assert [quantities.duration(ms) for ms in (None, 90, 41_700, 108_000, 7_500_000)] == [
        "", "0.1s", "41.7s", "1m 48s", "2h 05m",
    ]  # fmt: skip
    assert [quantities.size(n) for n in (None, 912, 18_402, 1_200_000)] == [
        "", "912 B", "18.4 kB", "1.2 MB",
    ]  # fmt: skip
    now = fake_services.NOW
    ages = [quantities.age(now - timedelta(seconds=s), now) for s in (-5, 8, 120, 90_000, 6e6)]
    assert ages == ["0s", "8s", "2m", "1d", "9w"]


# Chat


def said(text: str, second: int = 0, speaker: Speaker = Speaker.OPERATOR) -> ChatItem:
    at = fake_services.NOW + timedelta(seconds=second)
    return ChatItem(item_id=f"{speaker}{second}", at=at, speaker=speaker, text=text)


def sent(text: str, seq: int, receipt: Receipt = Receipt.ACCEPTED) -> object:
    return fake_services.make_prompt(KEY, seq, text, receipt)


def test_a_prompt_stands_where_the_transcript_shows_it() -> None:
    prompts = [fake_services.make_prompt(KEY, 1, "make it\nblue", Receipt.ACCEPTED)]
    entries = weave([said("make it  blue"), said("ok", 2, Speaker.CLAUDE)], prompts)
    assert [entry.prompt for entry in entries] == [prompts[0], None]


def test_the_same_text_twice_takes_each_its_own_prompt() -> None:
    prompts = [fake_services.make_prompt(KEY, n, "again", Receipt.ACCEPTED) for n in (1, 2)]
    entries = weave([said("again"), said("again", 5)], prompts)
    assert [entry.prompt and entry.prompt.seq for entry in entries] == [1, 2]


def test_what_is_on_its_way_stands_at_the_end_and_a_refused_one_at_its_time() -> None:
    refused = fake_services.make_prompt(KEY, 1, "no", Receipt.REFUSED)
    queued = fake_services.make_prompt(KEY, 2, "later", Receipt.QUEUED)
    entries = weave([said("a", 0, Speaker.CLAUDE), said("b", 9, Speaker.CLAUDE)], [queued, refused])
    assert [entry.item.text for entry in entries] == ["a", "no", "b", "later"]


def test_a_refused_prompt_never_borrows_an_accepted_text() -> None:
    refused = fake_services.make_prompt(KEY, 1, "same", Receipt.REFUSED)
    accepted = fake_services.make_prompt(KEY, 2, "same", Receipt.ACCEPTED)
    entries = weave([said("same", 5)], [refused, accepted])
    receipts = [entry.prompt and entry.prompt.receipt for entry in entries]
    assert receipts == [Receipt.REFUSED, Receipt.ACCEPTED]


def test_a_failed_call_starts_open_with_its_last_lines() -> None:
    item = ChatItem(
        item_id="t", at=None, speaker=Speaker.TOOL, text="\n".join(f"line {n}" for n in range(9)),
        tool="Bash", title="make [x]", ok=False, result="exit 2", duration_ms=400,
    )  # fmt: skip
    entry = ChatEntry(item=item)
    assert starts_open(entry)
    lines = plain(draw(entry, Drawing(60, Glyphs()), is_open=True, before=entry))
    assert "exit 2" in lines[0]
    assert "make [x]" in lines[0]
    assert lines[1].strip() == "4 more lines in the transcript"
    assert lines[-1].strip() == "line 8"


# The list


def test_a_filter_of_several_words_needs_them_all_and_narrows() -> None:
    services = fake_services.many(200)
    index = SessionIndex()
    index.load(services.users.list().users, services.sessions.rows())
    index.set_filter("user00")
    assert index.shown == 100
    index.set_filter("user0042 local")
    assert index.shown == 1
    index.set_filter("user0042 azure")
    assert index.lines == []
    index.set_filter("")
    assert index.shown == 200


def test_a_user_without_sessions_is_listed_after_the_others() -> None:
    services = fake_services.small_office()
    lonely = fake_services.make_user(9, "zoe@solo.org")
    services.add(lonely)
    index = SessionIndex()
    index.load(services.users.list().users, services.sessions.rows())
    assert index.lines[-1].user_id == lonely.user_id
    index.set_filter("zoe")
    assert [line.user_id for line in index.lines] == [lonely.user_id]


def test_an_archived_session_leaves_the_list() -> None:
    services = fake_services.small_office()
    rows = services.sessions.rows()
    index = SessionIndex()
    index.load(services.users.list().users, rows)
    gone = replace(rows[0], session=replace(rows[0].session, archived=True))
    index.change([gone])
    assert gone.key not in index.rows
    assert index.counts[SessionState.NEEDS_YOU] == 0


# Environment and imports


def test_an_empty_no_color_keeps_colour_and_a_set_one_reaches_children() -> None:
    environ = {"NO_COLOR": ""}
    assert prepare_colour(environ) == {"NO_COLOR": ""}
    assert environ == {}
    environ = {"NO_COLOR": "1"}
    assert prepare_colour(environ)["NO_COLOR"] == "1"
    environ = {"TMUX_BUILDER_NO_COLOR": "1"}
    assert prepare_colour(environ)["NO_COLOR"] == "1"
    assert environ["NO_COLOR"] == "1"


def test_no_heavy_library_is_loaded_before_the_first_paint() -> None:
    program = (
        "import sys, tui.builder_app, tui.screens.main;"
        "heavy = {'PIL','libtmux','requests','playwright','sqlite3','sqlalchemy','dbos','click',"
        "'textual.widgets._markdown','boto3','uvicorn','starlette','msgspec'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )  # fmt: skip
    assert done.stdout.strip() == "[]"


def test_ascii_terminals_get_ascii_glyphs() -> None:
    glyphs = Glyphs(ascii_only=True)
    drawn = (glyphs.open, glyphs.folded, glyphs.bar, glyphs.rule, glyphs.full, glyphs.empty)
    assert all(glyph.isascii() for glyph in drawn)
