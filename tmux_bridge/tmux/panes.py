"""Panes: created, listed, typed into, captured and ended, addressed by ids or exact names only."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

from core.errors import NotFoundError, UsageError
from tmux_bridge.tmux.connection import COMMAND_S, ControlChannel
from tmux_bridge.tmux.errors import BufferGoneError, PaneGoneError, TmuxCommandError
from tmux_bridge.tmux.quoting import checked_name, checked_pane, quoted, sanitise
from tmux_bridge.tmux.server import TmuxServer
from tmux_bridge.tmux.settings import HEIGHT, HUB, WIDTH
from tmux_bridge.tmux.views import STATE_FORMAT, PaneView, view_from

# Numbers first and the name last: a session that a person made by hand may hold spaces.
_FORMAT = (
    "#{pid} #{session_id} #{pane_id} #{pane_pid} #{pane_dead} #{pane_dead_status} "
    "#{pane_dead_signal} #{pane_in_mode} #{pane_width} #{pane_height} #{session_created} "
    "#{session_name}"
)
_SHELL_START = 'cd -- "$0" && exec "$@"'
_SMALLEST, _LARGEST = 10, 500

Key = Literal[
    "Escape", "Enter", "Up", "Down", "Left", "Right", "Tab", "BTab", "Space", "BSpace", "C-c",
    "0", "1", "2", "3", "4", "5", "6", "7", "8", "9",
]  # fmt: skip
Rows = list[str]
KEYS: frozenset[str] = frozenset(get_args(Key))


@dataclass(frozen=True, slots=True, kw_only=True)
class PaneInfo:
    """One pane as tmux sees it now.

    Attributes:
        server_pid: Ids such as `%7` begin anew with another server.
        dead: The program ended; its last screen stays. True before status or signal are known.
        dead_signal: The signal's name or number; may lag behind `dead`.
        created_at: When its session began, to the second: no process in it is older.
    """

    server_pid: int
    session_name: str
    session_id: str
    pane_id: str
    pane_pid: int
    dead: bool
    dead_status: int | None
    dead_signal: str | None
    in_mode: bool
    width: int
    height: int
    created_at: datetime


class Panes:
    """All panes of one server. Any thread but the connection's reader may call it.

    Raises from every method: TmuxGoneError without a server, TmuxCommandError where tmux refuses,
    PaneGoneError where the pane does not exist (or, for typing, its program has ended).
    """

    def __init__(self, connection: ControlChannel, server: TmuxServer) -> None:
        self._connection = connection
        self._server = server

    def create(
        self,
        name: str,
        argv: Sequence[str],
        *,
        folder: Path,
        width: int = WIDTH,
        height: int = HEIGHT,
    ) -> PaneInfo:
        """Start a program in a new session's only pane; no shell reads its arguments.

        Its environment is the server's clean one: secrets come in files, never from here.

        Raises:
            NotFoundError: The folder does not exist.
            TmuxCommandError: A session of that name exists, or the arguments exceed about 16 kB.
        """
        if not folder.is_dir():
            raise NotFoundError(
                f"The folder {folder} does not exist.", remedy="Create the session again."
            )
        size = ["-x", str(_sized(width)), "-y", str(_sized(height))]
        start = ["new-session", "-d", "-P", "-F", _FORMAT, "-s", checked_name(name), *size]
        keep_size = ["set-option", "-w", "-t", f"={name}:", "window-size", "manual"]
        printed = self._server.life_cycle().run([*start, *_command(argv, folder)], keep_size)
        return _pane_from(printed[0])

    def list(self) -> list[PaneInfo]:
        """Every pane of the server, the hub's too, in one round trip."""
        lines = self._connection.command(f"list-panes -a -F {quoted(_FORMAT)}")
        return [_pane_from(line) for line in lines]

    def find(self, name: str) -> PaneInfo | None:
        """The first pane of the session with exactly this name."""
        line = f"list-panes -s -t {_session(name)}: -F {quoted(_FORMAT)}"
        try:
            return _pane_from(self._connection.command(line)[0])
        except TmuxCommandError as error:
            if "can't find" in error.message:
                return None
            raise

    def settle(self) -> None:
        """Make tmux collect programs that have ended: it may miss one until another child ends.

        Until then `dead_status` and `dead_signal` of a dead pane are empty (one in ten on 3.3a).
        """
        self._connection.command("run-shell -b true")

    def set_buffer(self, buffer: str, text: str) -> None:
        """Keep sanitised text in a paste buffer of the server until it is pasted.

        Raises:
            UsageError: Nothing is left to paste.
        """
        clean = sanitise(text)
        if not clean:
            raise UsageError("There is no text to type.", remedy="Write some text.")
        line = f"set-buffer -b {checked_name(buffer)} -- {quoted(clean)}"
        self._connection.command(line, timeout_s=4 * COMMAND_S)

    def has_buffer(self, name: str) -> bool:
        chosen = quoted(f"#{{==:#{{buffer_name}},{checked_name(name)}}}")
        line = f'list-buffers -F "#{{buffer_name}}" -f {chosen}'
        return name in self._connection.command(line)

    def delete_buffer(self, name: str) -> None:
        """Forget a buffer; one that does not exist is fine."""
        if self.has_buffer(name):
            self._connection.command(f"delete-buffer -b {checked_name(name)}")

    def paste_and_enter(self, pane_id: str, buffer: str) -> None:
        """Paste the buffer as one framed text, press Enter and delete the buffer, at once.

        tmux checks inside the same command that the program still runs: a paste into a dead pane
        ends the whole server (3.3a). Copy mode is left first, because it swallows both.

        Raises:
            PaneGoneError: Nothing was typed and the buffer is still there.
            BufferGoneError: Nothing was typed.
        """
        paste = f"paste-buffer -p -r -d -b {checked_name(buffer)} -t {checked_pane(pane_id)}"
        self._type(pane_id, paste, f"send-keys -t {pane_id} Enter")

    def press(self, pane_id: str, key: Key) -> None:
        """Press one key out of `KEYS`."""
        if key not in KEYS:
            raise UsageError(f"{key!r} is not a key to press.", remedy="Use one of KEYS.")
        self._type(pane_id, f"send-keys -t {checked_pane(pane_id)} {key}")

    def type_literal(self, pane_id: str, text: str) -> None:
        """Type one short line as keys, such as a command of the program; Enter is separate.

        Raises:
            UsageError: It is empty, longer than 1,000 characters, or more than one line.
        """
        clean = sanitise(text)
        if not clean or "\n" in clean or len(clean) > 1000:
            raise UsageError(
                "Only one short line can be typed as keys.", remedy="Send longer text as a wish."
            )
        self._type(pane_id, f"send-keys -l -t {checked_pane(pane_id)} -- {quoted(clean)}")

    def capture(self, pane_id: str, *, colours: bool) -> Rows:
        """The visible screen, a string per row; with colours it holds SGR sequences."""
        return self._ask(_capture_line(pane_id, colours=colours))

    def submit_view(self, pane_id: str) -> Future[PaneView]:
        """Screen, cursor and modes for the live view, without waiting: both asked in one go."""
        state = self._connection.submit(
            f"display-message -p -t {checked_pane(pane_id)} {quoted(STATE_FORMAT)}"
        )
        screen = self._connection.submit(_capture_line(pane_id, colours=True))
        return view_from(state, screen)

    def capture_view(self, pane_id: str, *, timeout_s: float = COMMAND_S) -> PaneView:
        """The same, waiting."""
        try:
            return self.submit_view(pane_id).result(timeout_s)
        except TmuxCommandError as error:
            raise _explained(error, pane_id) from error

    def show(self, session_id: str) -> None:
        """Let the output of this session's panes arrive on the connection."""
        if not session_id.startswith("$") or not session_id[1:].isdigit():
            raise UsageError(f"{session_id!r} is not a session of tmux.", remedy="Pass its $N id.")
        self._connection.command(f"switch-client -t '{session_id}:'")

    def show_hub(self) -> None:
        """Show no pane."""
        self._connection.command(f"switch-client -t ={HUB}:")

    def kill(self, name: str) -> None:
        """End a session and its program; one that does not exist is fine.

        Nobody looks at it when it goes: this connection returns to the hub, people are detached
        (or tmux would show them another customer's session).
        """
        pane = self.find(name)
        if pane is None:
            return
        if self._connection.shown_session == pane.session_id:
            self.show_hub()
        self._detach_people(name)
        try:
            self._server.life_cycle().run(["kill-session", "-t", pane.session_id])
        except TmuxCommandError as error:
            if "can't find" not in error.message:
                raise

    def resize_back(self, name: str, *, width: int = WIDTH, height: int = HEIGHT) -> None:
        """Give a session its own size again after somebody was attached to it."""
        size = f"-x {_sized(width)} -y {_sized(height)}"
        self._ask(f"resize-window -t {_session(name)}: {size}")

    def _detach_people(self, name: str) -> None:
        wanted = quoted("#{client_control_mode} #{client_name}")
        lines = self._connection.command(f"list-clients -t {_session(name)} -F {wanted}")
        for line in lines:
            is_control, _, client = line.partition(" ")
            if is_control == "0":
                self._connection.submit(f"detach-client -t {quoted(client)}").exception(COMMAND_S)

    def _type(self, pane_id: str, *commands: str) -> None:
        typing = " ; ".join([f"copy-mode -q -t {pane_id}", *commands, "display-message -p typed"])
        said = self._ask(
            f'if-shell -F -t {checked_pane(pane_id)} "#{{pane_dead}}" '
            f'"display-message -p dead" {quoted(typing)}'
        )
        if said != ["typed"]:
            raise PaneGoneError(
                f"The program in pane {pane_id} has ended, so nothing was typed.",
                remedy="Send it again: the session is resumed by itself.",
            )

    def _ask(self, line: str) -> Rows:
        try:
            return self._connection.command(line)
        except TmuxCommandError as error:
            raise _explained(error, line.partition(" ")[0]) from error


def _explained(error: TmuxCommandError, what: str) -> TmuxCommandError:
    if "can't find" in error.message:
        return PaneGoneError(
            f"There is no such pane any more ({what}).",
            remedy="Send it again: the session is resumed by itself.",
        )
    if "no buffer" in error.message:
        return BufferGoneError(error.message, remedy=error.remedy)
    return error


def _session(name: str) -> str:
    return f"={checked_name(name)}"


def _capture_line(pane_id: str, *, colours: bool) -> str:
    return f"capture-pane -p{'e' if colours else ''} -t {checked_pane(pane_id)}"


def _sized(cells: int) -> int:
    if not _SMALLEST <= cells <= _LARGEST:
        raise UsageError(
            f"A pane of {cells} cells is not possible.",
            remedy=f"Choose between {_SMALLEST} and {_LARGEST}.",
        )
    return cells


def _command(argv: Sequence[str], folder: Path) -> list[str]:
    """tmux gives a single argument to a shell, and expands `#` in a starting folder.

    In both cases a fixed shell line changes the folder and becomes the program.
    """
    if not argv:
        raise UsageError("There is no program to start.", remedy="Pass its argument list.")
    if len(argv) == 1 or "#" in str(folder):
        return ["--", "/bin/sh", "-c", _SHELL_START, str(folder), *argv]
    return ["-c", str(folder), "--", *argv]


def _pane_from(line: str) -> PaneInfo:
    fields = line.split(" ", 11)
    if len(fields) != 12:
        raise TmuxCommandError(
            "tmux listed a pane in a form that is not known.", remedy="Report it with tmux -V."
        )
    return PaneInfo(
        server_pid=int(fields[0]),
        session_id=fields[1],
        pane_id=fields[2],
        pane_pid=int(fields[3]),
        dead=fields[4] == "1",
        dead_status=int(fields[5]) if fields[5] else None,
        dead_signal=fields[6] or None,
        in_mode=fields[7] not in ("", "0"),
        width=int(fields[8]),
        height=int(fields[9]),
        created_at=datetime.fromtimestamp(int(fields[10]), tz=UTC),
        session_name=fields[11],
    )
