"""What is read off Claude's screen: recorded rows, judged as rarely as possible."""

from __future__ import annotations

from tmux_bridge.agents.screen import (
    MARK,
    composer_holds,
    composer_is_drawn,
    composer_text,
    last_words,
    offers_choice,
    refuses_command,
)

RULE = "\u2500" * 40
EMPTY = ["", f"{MARK} make it blue", "", "\u25cf ok", RULE, f"{MARK}\u00a0", RULE, "  don't ask on"]


def filled(text: str) -> list[str]:
    return [*EMPTY[:5], f"{MARK}\u00a0{text}", *EMPTY[6:]]


def test_the_composer_is_the_last_row_with_the_mark() -> None:
    assert composer_is_drawn(EMPTY)
    assert composer_text(EMPTY) == ""
    assert composer_text(filled("half typed")) == "half typed"
    assert not composer_is_drawn(["$ claude", "loading"])


def test_a_text_that_was_sent_does_not_stand_in_the_composer() -> None:
    assert not composer_holds(EMPTY, "make it blue")


def test_an_unsent_text_is_found_whole_cut_or_folded() -> None:
    long = "make the header blue and the footer green and the rest as it is"
    assert composer_holds(filled("make it blue"), "make it blue")
    assert composer_holds(filled(long[:60]), long)
    assert composer_holds(filled("[Pasted text #1 +60 lines]"), "line\n" * 60)
    assert not composer_holds(filled("another"), "make it blue")


def test_an_unknown_command_is_told_by_claude_not_by_the_composer() -> None:
    said = [*EMPTY[:3], "\u25cf Unknown command: /nix. Did you mean /mcp?", *EMPTY[4:]]
    assert refuses_command(said, "/nix now")
    assert not refuses_command(said, "/compact")
    assert not refuses_command(filled("Unknown command: /nix"), "/nix")


def test_last_words_are_one_line_without_the_frame() -> None:
    screen = ["\u256d\u2500\u2500\u256e", "\u2502 Do you trust this? \u2502", "", "1. No"]
    assert last_words(screen) == "Do you trust this? / 1. No"


def test_a_choice_is_a_row_that_begins_with_its_number() -> None:
    dialog = ["Which colour?", f"{MARK} 1. Blue", "     cold", "  2. Red", " │ 3. Other │"]
    assert [offers_choice(dialog, number) for number in (1, 2, 3, 4)] == [True, True, True, False]
    assert not offers_choice(filled("about 1. and 2."), 1)
