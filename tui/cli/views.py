"""Documents as lines for people and records for scripts; the same for every verb that has them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from tui.cli.tables import STATE_COLOURS, age, clean_line, duration, table

if TYPE_CHECKING:
    from core.models.execution import Json
    from tui.cli.terminal import Terminal

Document = Mapping[str, "Json"]

STATE_WORDS = {"needs_you": "needs you", "running": "run"}


def rows_of(document: Document, key: str) -> list[Document]:
    """The objects of a list in a document; an answer without it has none."""
    found = document.get(key)
    return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []


def part_of(document: Document, key: str) -> Document:
    """An object inside a document; empty where it is unknown."""
    found = document.get(key)
    return found if isinstance(found, dict) else {}


def step_line(step: Document, terminal: Terminal) -> str:
    """`4 deploy         ok        1.1s  14 files`."""
    state = str(step["state"])
    word = terminal.paint(f"{STATE_WORDS.get(state, state):<9}", STATE_COLOURS.get(state, ""))
    text = f"{step['n']} {step['name']:<14} {word} {duration(step.get('ms')):>7}"
    detail = clean_line(str(step.get("detail") or ""))
    return f"{text}  {detail}".rstrip()


def step_records(steps: Iterable[Document]) -> list[Sequence[object]]:
    return [[step[k] for k in ("n", "name", "state", "ms", "tries", "detail")] for step in steps]


def run_lines(document: Document, terminal: Terminal) -> list[str]:
    """A run for people: what it is, its seven rows, and the URL last."""
    status = str(document["status"])
    head = f"{document['session_id']}  {terminal.paint(status, STATE_COLOURS.get(status, ''))}"
    lines = [f"{head}  {document['execution_id']}"]
    lines += [step_line(step, terminal) for step in rows_of(document, "steps")]
    if document.get("error"):
        lines.append(clean_line(str(document["error"])))
    url = part_of(document, "result").get("url")
    return [*lines, str(url)] if url else lines


def session_lines(sessions: Sequence[Document], width: int | None) -> list[str]:
    """Sessions as a table, newest change told as an age."""
    if not sessions:
        return ["No sessions."]
    headings = ("STATE", "SESSION", "USER", "HOST", "TYPE", "STEP", "AGE", "URL")
    rows = [
        (
            _state(row), row["session_id"], row["email"], row["host_provider"], row["site_type"],
            _step(row), age(row["updated_at"]), row["url"],
        )
        for row in sessions
    ]  # fmt: skip
    return table(headings, rows, width=width)


def session_records(sessions: Iterable[Document]) -> list[Sequence[object]]:
    keys = (
        "session_id", "user_id", "email", "host_provider", "site_type", "state", "needs", "url",
        "updated_at", "path",
    )  # fmt: skip
    return [[row[key] for key in keys] for row in sessions]


def user_lines(users: Sequence[Document], width: int | None) -> list[str]:
    if not users:
        return ["No users yet. Make one: tmux-builder user create --email E --phone P"]
    headings = ("EMAIL", "PHONE", "NAME", "HOST", "TYPE", "SESSIONS", "AGE", "USER")
    keys = ("email", "phone", "name", "host_provider", "site_type", "sessions")
    rows = [(*(row[k] for k in keys), age(row["updated_at"]), row["user_id"]) for row in users]
    return table(headings, rows, width=width)


def user_records(users: Iterable[Document]) -> list[Sequence[object]]:
    keys = (
        "user_id", "email", "phone", "name", "host_provider", "site_type", "sessions",
        "updated_at", "path",
    )  # fmt: skip
    return [[row[key] for key in keys] for row in users]


def log_line(entry: Document, terminal: Terminal) -> str:
    """`14:29:29 INFO  4 file uploaded  path=style.css bytes=9114`."""
    level = str(entry["level"])
    colour = {"ERROR": "bad", "WARN": "warn", "DEBUG": "faint"}.get(level, "")
    moment = str(entry["timestamp"])[11:19]
    step = " " if entry["step"] is None else entry["step"]
    facts = " ".join(f"{name}={value}" for name, value in part_of(entry, "details").items())
    text = clean_line(f"{entry['message']}  {facts}".rstrip())
    return f"{moment} {terminal.paint(f'{level:<5}', colour)} {step} {text}"


def plan_lines(document: Document) -> list[str]:
    """A dry run: each action, then the files."""
    keys = ("action", "kind", "id", "est_usd_day")
    rows = [[row.get(key) for key in keys] for row in rows_of(document, "plan")]
    lines = table(("ACTION", "KIND", "ID", "USD/DAY"), rows, width=None)
    files = part_of(document, "files")
    if files:
        lines.append("files  " + "  ".join(f"{name} {n}" for name, n in files.items()))
    return lines


def plan_records(document: Document) -> list[Sequence[object]]:
    keys = ("action", "kind", "id", "est_usd_day")
    return [[row.get(key) for key in keys] for row in rows_of(document, "plan")]


def _state(row: Document) -> str:
    state = str(row["state"])
    word = STATE_WORDS.get(state, state) if state == "needs_you" else state
    return f"{word} ({row['needs']})" if row["needs"] else word


def _step(row: Document) -> str:
    step = part_of(row, "step")
    return f"{step['n']} {step['name']} {step['state']}" if step else ""
