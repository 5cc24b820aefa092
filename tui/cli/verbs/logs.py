"""`session logs`: the log of a run, the pane's terminal text, the chat, or the program's output."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import click

from tui.cli.call import Call
from tui.cli.outcome import Document, Outcome
from tui.cli.parsing import OneOf, argument, option, verb
from tui.cli.suggestions import SessionName
from tui.cli.tables import clean
from tui.cli.verbs.session import instant_of
from tui.cli.views import log_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from core.models.execution import LogEntry
    from core.models.session import SessionKey
    from core.models.transcript import ChatItem

FOLLOW_INTERVAL_S = 0.25
CAPTURE_TIMEOUT_S = 10.0
APP_TIMEOUT_S = 120.0
USUAL_LINES, MOST_LINES = 200, 10_000


@verb(
    "session logs",
    argument("session", type=SessionName(), metavar="S", required=False),
    option("-f", "--follow", is_flag=True, text="Until Ctrl+C, or until the run is over."),
    option("--step", type=click.IntRange(1, 7), text="Only this step.", metavar="N"),
    option("--level", type=OneOf("debug", "info", "warn", "error"), text="From this level on."),
    option("--since", text="Since then: 2h, 3d, or an RFC 3339 time."),
    option("--run", type=click.IntRange(min=1), text="Another run than the newest.", metavar="N"),
    option("--pane", is_flag=True, text="The text of Claude's terminal."),
    option("--chat", is_flag=True, text="What was said."),
    option("--app", is_flag=True, text="What the program of a dynamic site wrote."),
    option("--lines", type=click.IntRange(1, MOST_LINES), metavar="N",
           text=f"With --app: the newest N lines; {USUAL_LINES} without it."),
)  # fmt: skip
def logs(
    call: Call, *, session: str | None, follow: bool, step: int | None, level: str | None,
    since: str | None, run: int | None, pane: bool, chat: bool, app: bool, lines: int | None,
) -> Outcome:  # fmt: skip
    if pane + chat + app > 1:
        raise click.UsageError("Give one of --pane, --chat and --app.")
    if follow and (call.json or pane or chat or app):
        raise click.UsageError("--follow goes with the run's log for people only.")
    if lines is not None and not app:
        raise click.UsageError("--lines goes with --app.")
    key = call.session(session).key
    if pane or chat or app:
        text = _text(call, key, pane=pane, chat=chat, lines=lines or USUAL_LINES)
        shown = clean(text) or "Nothing was written yet."
        return Outcome(data={**_ids(key), "text": text}, human=lambda _terminal: [shown])
    wanted = "DEBUG" if level is None and call.verbose else level
    source = _Source(call, key, step=step, level=wanted, since=instant_of(since), run=run)
    if follow:
        return _follow(call, source)
    found = [call.services.status.log_document(entry) for entry in source.read(0)]
    return Outcome(
        data={**_ids(key), "logs": list(found)},
        human=lambda terminal: [log_line(row, terminal) for row in found] or ["No log yet."],
        records=lambda: _records(found),
    )


def _text(call: Call, key: SessionKey, *, pane: bool, chat: bool, lines: int) -> str:
    """The terminal, the chat, or what the site's own program wrote."""
    if pane:
        return _pane_text(call, key)
    if chat:
        return _chat_text(call.services.chat.items(key))
    return call.services.apps.log(key, lines, call.timeout_s(APP_TIMEOUT_S)).rstrip("\n")


class _Source:
    """The entries that the flags want, from any line on."""

    def __init__(
        self, call: Call, key: SessionKey, *, step: int | None, level: str | None,
        since: datetime | None, run: int | None,
    ) -> None:  # fmt: skip
        self.key = key
        self._call = call
        self._step, self._level, self._since = step, level, since
        self.run = run

    def read(self, after_line: int) -> list[LogEntry]:
        return self._call.services.status.logs(
            self.key, step=self._step, level=self._level, since=self._since, run=self.run,
            after_line=after_line,
        )  # fmt: skip


def _follow(call: Call, source: _Source) -> Outcome:
    """New lines as they come; ends with the run that was the newest at the beginning."""
    from core.clock import SystemClock  # noqa: PLC0415 - not for help

    clock, feed = SystemClock(), call.services.changes()
    newest = call.services.status.newest(source.key)
    if source.run is None and newest is not None:
        source.run = newest.run
    for_ever = source.run is None
    last = 0
    call.going_on = "The run goes on."
    while call.terminal.is_open:
        is_over = not for_ever and _is_over(call, source)
        if feed.poll() or is_over:
            for line, number in _new_lines(call, source.read(last)):
                call.terminal.write(line)
                last = number
        if is_over:
            break
        clock.sleep(FOLLOW_INTERVAL_S)
    return Outcome(is_printed=True)


def _is_over(call: Call, source: _Source) -> bool:
    from core.models.execution import execution_id_for  # noqa: PLC0415 - only to follow

    execution_id = execution_id_for(source.key, source.run or 1)
    return call.services.deploys.get(execution_id).status.is_over


def _new_lines(call: Call, entries: Sequence[LogEntry]) -> Iterator[tuple[str, int]]:
    for entry in entries:
        document = call.services.status.log_document(entry)
        if call.plain:
            yield "\t".join(str(cell) for cell in _records([document])[0]), entry.line
        else:
            yield log_line(document, call.terminal), entry.line


def _records(entries: Sequence[Document]) -> list[Sequence[object]]:
    import json  # noqa: PLC0415 - not for people

    keys = ("timestamp", "level", "step", "step_name", "message")
    return [
        [*(("" if row[key] is None else row[key]) for key in keys), json.dumps(row["details"])]
        for row in entries
    ]


def _pane_text(call: Call, key: SessionKey) -> str:
    """What Claude's terminal shows now.

    Raises:
        NotFoundError: The session has no pane.
    """
    from core.errors import NotFoundError  # noqa: PLC0415 - not for help

    argv = [
        "tmux", "-u", "-N", "-S", str(call.runtime.tmux_socket), "capture-pane", "-p", "-J",
        "-t", f"={key.tmux_name}:",
    ]  # fmt: skip
    try:
        done = subprocess.run(argv, check=False, capture_output=True, timeout=CAPTURE_TIMEOUT_S)
    except FileNotFoundError as error:
        from core.errors import MissingProgramError  # noqa: PLC0415

        raise MissingProgramError(
            "tmux is not installed.", remedy="sudo apt-get install tmux"
        ) from error
    if done.returncode != 0:
        raise NotFoundError(
            f"{key.session_id} has no terminal now.",
            remedy=f"tmux-builder session attach {key.session_id}",
        )
    return done.stdout.decode(errors="replace").rstrip()


def _chat_text(items: Sequence[ChatItem]) -> str:
    """What was said, oldest first; a tool call takes one line."""
    return "\n".join(_said(item) for item in items)


def _said(item: ChatItem) -> str:
    if item.tool is not None:
        parts = (item.tool, item.title, item.result)
        return f"  - {' '.join(part for part in parts if part)}"
    return f"{item.speaker}: {item.text}"


def _ids(key: SessionKey) -> dict[str, str]:
    return {"user_id": key.user_id, "session_id": key.session_id}


COMMANDS = {"session logs": logs}
