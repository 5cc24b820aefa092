"""Commands in the library's texts, held against a command line."""

from __future__ import annotations

import pytest

from core.injection.commands import CommandLine, VerbShape, faults, find_commands
from tui.cli.shapes import command_line

KNOWN = CommandLine(
    verbs={
        "deploy": VerbShape(options={"--from": True, "--skip-tests": False}, arguments=1),
        "check": VerbShape(arguments=1),
        "serve": VerbShape(arguments=1, in_pane=False),
        "serve api": VerbShape(arguments=0, in_pane=False),
        "session env set": VerbShape(arguments=2, in_pane=False),
        "login": VerbShape(arguments=0, in_pane=False),
    },
    common={"--json": False, "--timeout": True},
)


def found(text: str, known: CommandLine = KNOWN) -> list[str]:
    return [f"{one.line}: {fault}" for one in find_commands(text) for fault in faults(one, known)]


@pytest.mark.parametrize(
    "text",
    [
        "Run `tmux-builder deploy`, then `tmux-builder check --json`.",
        "`tmux-builder --json deploy --from 4`, `tmux-builder deploy --from=4 --skip-tests`",
        "`tmux-builder --timeout 5 check`, `tmux-builder deploy|check --json`",
        "`tmux-builder --help`, `tmux-builder check -h`, `tmux-builder`",
        "```sh\ncd x && tmux-builder deploy | tail -1 # comment\n(tmux-builder check); ls\n```",
        "Prose says that tmux-builder explodes --loudly.",
        "The operator runs `tmux-builder session env set SESSION KEY < file`.",
        "Say the line to the operator:\n\n```\ntmux-builder login\n```",
        "- a shell: it is the operator's\n  `tmux-builder serve api` line",
        "`tmux-builder deploy 'it is \"one\" word'`",
    ],
)
def test_a_command_that_exists_is_no_fault(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("x\n`tmux-builder explode`", "2: tmux-builder has no verb explode"),
        ("`tmux-builder deploy --nonsense`", "1: tmux-builder deploy has no option --nonsense"),
        ("`tmux-builder deploy --nonsense=1`", "1: tmux-builder deploy has no option --nonsense"),
        ("`tmux-builder deploy -x`", "1: tmux-builder deploy has no option -x"),
        ("`tmux-builder deploy|explode`", "1: tmux-builder has no verb explode"),
        ("`tmux-builder deploy --from`", "1: the option --from of tmux-builder deploy needs a v"),
        ("`tmux-builder check a b`", "1: tmux-builder check takes at most 1 words, not 2"),
        ("`tmux-builder session env`", "1: tmux-builder session env needs a verb"),
        ("`tmux-builder session bogus x`", "1: tmux-builder has no verb session bogus"),
        ("`tmux-builder --nonsense`", "1: tmux-builder has no option --nonsense"),
        ("```\na && tmux-builder check --url x\n```", "2: tmux-builder check has no option --url"),
        ("Run `tmux-builder login`.\n\nThe operator", "1: tmux-builder login cannot be asked for"),
        ("It:\n```\ntmux-builder serve\n```\noperator", "3: tmux-builder serve cannot be asked"),
    ],
)
def test_a_command_that_does_not_exist_is_a_fault_of_its_line(text: str, fault: str) -> None:
    [only] = found(text)
    assert only.startswith(fault)


def test_of_bare_words_only_the_first_of_a_command_is_judged() -> None:
    known = CommandLine.of_words({"deploy"})
    assert found("`tmux-builder deploy --nonsense`", known) == []
    assert found("`tmux-builder explode`", known) == ["1: tmux-builder has no verb explode"]


def test_the_products_own_command_line_is_known_with_its_options() -> None:
    known = command_line()
    assert (
        found("`tmux-builder deploy --skip-tests -n`, `tmux-builder test --grep menu`", known) == []
    )
    assert found("`tmux-builder check -n`", known) == ["1: tmux-builder check has no option -n"]
    assert found("The operator: `tmux-builder session send S text --wait`", known) == []
    assert found("`tmux-builder deploy --nonsense`", known) != []
    assert known.verbs["deploy"].in_pane
    assert not known.verbs["destroy"].in_pane
