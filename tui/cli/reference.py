"""Writes `docs/cli.md` from the verbs themselves: `python -m tui.cli.reference`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from tui.cli.catalog import ENTRIES, EXIT_CODES, NOUNS, Entry
from tui.cli.parsing import COMMON, VerbCommand, load
from tui.cli.version import PROGRAM

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "cli.md"


def reference() -> str:
    """The whole page."""
    parts = [_head(), _common(), _contents()]
    parts += [_verb(entry, load(entry.name)) for entry in ENTRIES]
    parts.append(_exit_codes())
    return "\n".join(parts)


def _head() -> str:
    return (
        "# Command line\n\n"
        "Made from the program by `python -m tui.cli.reference`; do not edit.\n\n"
        f"`{PROGRAM}` without a verb opens the full-screen app in a terminal. stdout carries the\n"
        "result, stderr everything else. With `--json` exactly one document goes to stdout, also\n"
        "after a failure: `schema` (`tb/1`), `command`, `ok`, `exit`, `data`, `error` (`code`,\n"
        "`message`, `fix`, `retryable`) and `warnings`.\n"
    )


def _common() -> str:
    context = click.Context(click.Command(PROGRAM))
    rows = [
        ("-h, --help", "This text; anywhere on the line, exits 0, changes nothing."),
        ("--version", "The version."),
    ]
    rows += [row for one in COMMON if (row := one.get_help_record(context)) is not None]
    return f"## Common flags\n\nBefore or after the verb.\n\n{_table(('Flag', 'Meaning'), rows)}"


def _contents() -> str:
    rows = [(f"[`{entry.name}`](#{_anchor(entry)})", entry.summary) for entry in ENTRIES]
    nouns = ", ".join(f"`{noun}` ({text.rstrip('.')})" for noun, text in NOUNS.items())
    return f"## Verbs\n\nNouns: {nouns}.\n\n{_table(('Verb', 'Does'), rows)}"


def _verb(entry: Entry, command: VerbCommand) -> str:
    context = click.Context(command, info_name=f"{PROGRAM} {entry.name}")
    usage = " ".join(command.collect_usage_pieces(context))
    lines = [f"### {entry.name}", "", entry.summary, "", "```"]
    lines += [f"{PROGRAM} {entry.name} {usage}", "", *entry.examples, "```", ""]
    rows = [row for one in command.own if (row := one.get_help_record(context)) is not None]
    if rows:
        lines.append(_table(("Flag", "Meaning"), rows))
    notes = _notes(entry)
    return "\n".join([*lines, notes, ""] if notes else lines)


def _notes(entry: Entry) -> str:
    notes = []
    if entry.dry_run:
        notes.append("Knows `--dry-run`.")
    if entry.in_pane:
        notes.append("Can be asked for by Claude from inside its session.")
    if not entry.has_document:
        notes.append("Refuses `--json`.")
    return " ".join(notes)


def _exit_codes() -> str:
    rows = [(str(code), text) for code, text in EXIT_CODES]
    return f"## Exit codes\n\n{_table(('Code', 'Meaning'), rows)}"


def _anchor(entry: Entry) -> str:
    return entry.name.replace(" ", "-")


def _table(head: tuple[str, str], rows: list[tuple[str, str]]) -> str:
    lines = [f"| {head[0]} | {head[1]} |", "|---|---|"]
    lines += [f"| {_code(left)} | {_cell(right)} |" for left, right in rows]
    return "\n".join(lines) + "\n"


def _code(text: str) -> str:
    return _cell(text) if text.startswith("[") or text.isdigit() else f"`{_cell(text)}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> int:
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(reference())
    sys.stdout.write(f"{PAGE}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
