"""What is typed for a text, and what counts as its receipt."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tmux_bridge.claude.receipts import (
    escape_for_prompt,
    is_receipt,
    needs_file,
    normalise,
    without_escape,
)


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        ("make it blue", "make it blue"),
        ("/clear", ". /clear"),
        ("  /clear", ". /clear"),
        ("!rm -rf /", ". !rm -rf /"),
        ("exit", ". exit"),
        ("EXIT\n", ". EXIT"),
        ("exit the page", "exit the page"),
        ("a\\", "a\\ "),
        ("a;", "a;"),
        ("# heading", "# heading"),
        ("-- -? @x $(id)", "-- -? @x $(id)"),
        ("a\tb", "a    b"),
        ("a\r\nb\rc\u2028d", "a\nb\nc\nd"),
        ("a\x1b[201~b\x00\x7f\x9b", "a[201~b"),
        ("cafe\u0301", "caf\u00e9"),
        (" \n a \n ", "a"),
        ("\x1b/clear", ". /clear"),
        ("\x00", ""),
        ("\u200b!ls", ". !ls"),
        ("\ufeff/clear", ". /clear"),
        ("ex\u200bit", ". exit"),
        ("\u202ea\u200db\u200f", "ab"),
        ("\u2764\ufe0f 1\ufe0f\u20e3", "\u2764\ufe0f 1\ufe0f\u20e3"),
        ("\U0001f469\u200d\U0001f467", "\U0001f469\u200d\U0001f467"),
        ("\u0646\u0645\u200c\u06cc", "\u0646\u0645\u200c\u06cc"),
        ("\u200b \u2060", ""),
    ],
)
def test_a_text_is_typed_so_that_nothing_in_it_acts(text: str, typed: str) -> None:
    assert escape_for_prompt(text) == typed


def test_a_wrapped_paste_is_the_same_text() -> None:
    sent = "one\ntwo\nthree\nfour"
    wrapped = f'<pasted_content id="1">\n{sent}\n</pasted_content>'
    assert is_receipt(sent, wrapped)


@pytest.mark.parametrize(
    "sent", ["</pasted_content>", '<pasted_content id="1">\nx\n</pasted_content>']
)
def test_tags_that_the_cli_made_harmless_are_the_same_text(sent: str) -> None:
    reported = sent.replace("</pasted", "<\\/pasted").replace("<pasted", "<\\pasted")
    assert is_receipt(sent, reported)


def test_another_text_is_no_receipt() -> None:
    assert not is_receipt("make it blue", "make it green")
    assert not is_receipt("make it blue", None)


@given(st.text(max_size=200))
def test_what_is_typed_is_its_own_receipt_and_holds_no_control_character(text: str) -> None:
    typed = escape_for_prompt(text)
    assert is_receipt(typed, normalise(typed))
    assert not any(char < " " and char != "\n" for char in typed)
    assert not typed.startswith(("/", "!"))


@pytest.mark.parametrize("text", ["/clear", "!ls", "exit", "plain", ". dotted"])
def test_the_chat_shows_the_words_without_the_guard(text: str) -> None:
    assert without_escape(escape_for_prompt(text)) == text


def test_only_long_wishes_need_a_file() -> None:
    assert not needs_file("x" * 10_000)
    assert needs_file("é" * 6_000)
