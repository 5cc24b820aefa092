"""The command line as data, for whoever checks texts that name its commands."""

from __future__ import annotations

import click

from core.injection.commands import CommandLine, VerbShape
from tui.cli.catalog import ENTRIES, Entry
from tui.cli.parsing import COMMON, load

_DRY_RUN = frozenset({"-n", "--dry-run"})


def command_line() -> CommandLine:
    """Every verb with its options; imports the modules of all of them."""
    common = {name: takes for one in COMMON for name, takes in _spellings(one).items()}
    return CommandLine(
        verbs={entry.name: _shape(entry) for entry in ENTRIES},
        common={name: takes for name, takes in common.items() if name not in _DRY_RUN},
    )


def _shape(entry: Entry) -> VerbShape:
    command = load(entry.name)
    options = dict.fromkeys(_DRY_RUN, False) if entry.dry_run else {}
    counts: list[int] = []
    for one in command.own:
        if isinstance(one, click.Option):
            options |= _spellings(one)
        else:
            counts.append(one.nargs)
    if entry.name == "session send":
        options["--wait"] = False  # its value comes after = only
    most = None if any(count < 0 for count in counts) else sum(counts)
    return VerbShape(options=options, arguments=most, in_pane=entry.in_pane)


def _spellings(option: click.Option) -> dict[str, bool]:
    takes = not (option.is_flag or option.count)
    return dict.fromkeys((*option.opts, *option.secondary_opts), takes)
