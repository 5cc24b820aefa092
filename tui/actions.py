"""Every action of the app as one row; bindings, footer, help and palette are made from the rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from tui import situation
from tui.situation import Situation

if TYPE_CHECKING:
    from textual.binding import Binding

Reason = Callable[[Situation], str | None]


class Scope(StrEnum):
    """Where a key works; a focused part's own keys go before those of its screen."""

    MOVE = "moving"
    LIST = "list"
    FILTER = "filter"
    CHAT = "chat"
    MESSAGE = "message"
    QUESTION = "Claude's question"
    APPROVAL = "permission card"
    PANE = "pane"
    SESSION = "session"
    MAIN = "main"
    APP = "everywhere"
    LOG = "log"
    DOCTOR = "doctor"
    COSTS = "costs"
    WELCOME = "welcome"
    FORM = "form"
    CHOICE = "choice"
    TEXT = "text field"
    CONFIRM = "question"
    DIALOG = "dialog"
    PICK = "command list"


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One thing the operator can do. `reason` says why it cannot be done now."""

    id: str
    scope: Scope
    keys: str
    """Keys as the terminal library names them, separated by commas; the first one is shown."""
    label: str
    help: str
    footer: int = 0
    """Rank among the footer's hints, 1 first; 0 stays out of the footer."""
    reason: Reason | None = None
    show: str = ""
    """The keys as they are written for people, where that is not obvious."""
    in_palette: bool = True
    aliases: str = ""

    @property
    def shown_keys(self) -> str:
        return self.show or " ".join(shown_key(key) for key in self.keys.split(",")[:2])

    @property
    def hint(self) -> str:
        """The keys as the footer writes them: the first one only."""
        if self.show:
            return self.show
        return shown_key(self.keys.split(",")[0])


_SHOWN = {
    "question_mark": "?", "colon": ":", "slash": "/", "right_square_bracket": "]",
    "left_square_bracket": "[", "escape": "Esc", "enter": "Enter", "space": "Space",
    "tab": "Tab", "shift+tab": "S-Tab", "up": "Up", "down": "Down", "left": "Left",
    "right": "Right", "pageup": "PgUp", "pagedown": "PgDn", "home": "Home", "end": "End",
    "ctrl+d": "^D", "ctrl+u": "^U", "ctrl+p": "^P", "ctrl+f": "^F", "ctrl+c": "^C",
    "ctrl+j": "^J", "ctrl+o": "^O", "ctrl+g": "^G", "delete": "Del", "f1": "F1", "f4": "F4",
    "f5": "F5",
}  # fmt: skip


def shown_key(key: str) -> str:
    """A key as it is written for people."""
    return _SHOWN.get(key, key)


_NAMED_LETTERS = frozenset(
    {"slash", "colon", "question_mark", "left_square_bracket", "right_square_bracket", "space"}
)


def is_letter(key: str) -> bool:
    """Whether a text field would take the key as text."""
    return len(key) == 1 or key in _NAMED_LETTERS


FORBIDDEN_KEYS = frozenset(
    {f"ctrl+{key}" for key in ("a", "b", "h", "i", "m", "q", "s", "z", "slash", "space", "at")}
    | {
        "ctrl+left_square_bracket", "ctrl+right_square_bracket", "ctrl+backslash",
        "ctrl+underscore", "ctrl+circumflex_accent", "alt+enter",
    }
    | {f"alt+{digit}" for digit in range(10)}
)  # fmt: skip
"""Keys that terminals swallow, confuse with others, or that belong to tmux and the shell."""


def _moving() -> tuple[Action, ...]:
    scope = Scope.MOVE
    return (
        Action(id="line_down", scope=scope, keys="j,down", label="down", help="One line down",
               show="j Down", in_palette=False),
        Action(id="line_up", scope=scope, keys="k,up", label="up", help="One line up",
               show="k Up", in_palette=False),
        Action(id="half_page_down", scope=scope, keys="ctrl+d", label="half page down",
               help="Half a page down", in_palette=False),
        Action(id="half_page_up", scope=scope, keys="ctrl+u", label="half page up",
               help="Half a page up", in_palette=False),
        Action(id="page_down", scope=scope, keys="pagedown", label="page down",
               help="A page down", in_palette=False),
        Action(id="page_up", scope=scope, keys="pageup", label="page up", help="A page up",
               in_palette=False),
        Action(id="first_line", scope=scope, keys="g,home", label="first", help="First line",
               show="g Home", in_palette=False),
        Action(id="last_line", scope=scope, keys="G,end", label="last",
               help="Last line; in the chat it follows again", show="G End", in_palette=False),
    )  # fmt: skip


def _lists() -> tuple[Action, ...]:
    return (
        Action(id="open", scope=Scope.LIST, keys="enter", label="open",
               help="Open the chat and write to Claude", footer=1,
               reason=situation.needs_session, in_palette=False),
        Action(id="fold_user", scope=Scope.LIST, keys="h,left", label="fold",
               help="Fold a user's sessions", show="h Left", in_palette=False),
        Action(id="unfold_user", scope=Scope.LIST, keys="l,right", label="unfold",
               help="Unfold a user's sessions", show="l Right", in_palette=False),
        Action(id="keep_filter", scope=Scope.FILTER, keys="enter,down", label="keep",
               help="Keep the filter and go to the list", footer=1, in_palette=False),
        Action(id="clear_filter", scope=Scope.FILTER, keys="escape", label="clear",
               help="Clear the filter and go to the list", footer=2, in_palette=False),
        Action(id="write_here", scope=Scope.CHAT, keys="enter", label="write",
               help="Write to Claude", footer=1, reason=situation.needs_session,
               in_palette=False),
        Action(id="fold_one", scope=Scope.CHAT, keys="space", label="unfold",
               help="Fold or unfold what the cursor is on", footer=2, in_palette=False),
        Action(id="fold_all", scope=Scope.CHAT, keys="Z", label="unfold all",
               help="Fold or unfold everything", footer=3, in_palette=False),
        Action(id="pan_left", scope=Scope.PANE, keys="h,left", label="pan left",
               help="Look further left", show="h Left", in_palette=False),
        Action(id="pan_right", scope=Scope.PANE, keys="l,right", label="pan right",
               help="Look further right", show="l Right", in_palette=False),
        Action(id="send", scope=Scope.MESSAGE, keys="enter", label="send",
               help="Send the message to Claude", footer=1, in_palette=False),
        Action(id="newline", scope=Scope.MESSAGE, keys="ctrl+j,shift+enter", label="newline",
               help="A new line; a backslash before Enter does the same",
               show="\\Enter ^J", footer=2, in_palette=False),
        Action(id="earlier", scope=Scope.MESSAGE, keys="up", label="earlier",
               help="Earlier messages, from the first line", in_palette=False),
        Action(id="later", scope=Scope.MESSAGE, keys="down", label="later",
               help="Later messages, from the last line", in_palette=False),
        Action(id="answer", scope=Scope.QUESTION, keys="1,2,3,4,5,6,7,8,9", label="answer",
               help="Answer Claude by the number of the choice", show="1-9", footer=1,
               in_palette=False),
    )  # fmt: skip


def _approvals() -> tuple[Action, ...]:
    scope = Scope.APPROVAL
    return (
        Action(id="allow_once", scope=scope, keys="1", label="allow once",
               help="Let Claude do this, once", footer=1, in_palette=False),
        Action(id="allow_session", scope=scope, keys="2", label="allow for session",
               help="Let it, and do not ask again for exactly this in this session", footer=2,
               reason=situation.needs_rule, in_palette=False),
        Action(id="deny", scope=scope, keys="3", label="deny", help="Do not let Claude do this",
               footer=3, in_palette=False),
        Action(id="deny_with", scope=scope, keys="4", label="deny, saying why",
               help="Deny it and tell Claude what to do instead", footer=4, in_palette=False),
    )  # fmt: skip


def _sessions() -> tuple[Action, ...]:
    scope = Scope.SESSION
    return (
        Action(id="write", scope=scope, keys="i", label="write",
               help="Write to Claude", footer=4, reason=situation.needs_session,
               aliases="message send chat"),
        Action(id="attach", scope=scope, keys="a", label="attach",
               help="Attach the real terminal; its own prefix and d lead back", footer=7,
               reason=situation.needs_attach),
        Action(id="pane", scope=scope, keys="p", label="pane",
               help="Show the live pane instead of the chat, and back", footer=6,
               reason=situation.needs_pane_view),
        Action(id="deploy", scope=scope, keys="d", label="deploy",
               help="Deploy the changes", footer=5, reason=situation.needs_quiet,
               aliases="redeploy publish"),
        Action(id="check", scope=scope, keys="c", label="check",
               help="Health check of the live site", reason=situation.needs_url),
        Action(id="test", scope=scope, keys="t", label="test",
               help="Run the end-to-end tests", footer=12, reason=situation.needs_url),
        Action(id="screenshot", scope=scope, keys="v", label="screenshot",
               help="Photograph the live site", footer=13, reason=situation.needs_url),
        Action(id="rollback", scope=scope, keys="b", label="roll back",
               help="Bring back the deploy before this one (asks)",
               reason=situation.needs_earlier_deploy),
        Action(id="retry", scope=scope, keys="R", label="retry",
               help="Run the failed run again from its failed step",
               reason=situation.needs_failed_run),
        Action(id="cancel_run", scope=scope, keys="C", label="cancel run",
               help="Cancel the run that is under way (asks)", reason=situation.needs_run),
        Action(id="interrupt", scope=scope, keys="S", label="interrupt",
               help="Interrupt Claude's turn", reason=situation.needs_turn,
               aliases="escape stop turn"),
        Action(id="stop", scope=scope, keys="x,delete", label="stop Claude",
               help="Stop Claude in this session (asks)", reason=situation.needs_claude,
               aliases="kill"),
        Action(id="destroy", scope=scope, keys="D", label="destroy",
               help="Destroy what was deployed (type the name)", reason=situation.needs_url),
        Action(id="log", scope=scope, keys="L,f4", label="log",
               help="The log of the newest run", footer=11, reason=situation.needs_log),
        Action(id="copy_url", scope=scope, keys="y", label="copy URL",
               help="Copy the URL of the site", reason=situation.needs_url),
    )  # fmt: skip


def _main() -> tuple[Action, ...]:
    scope = Scope.MAIN
    return (
        Action(id="panel_1", scope=scope, keys="1", label="sessions", help="Go to the sessions"),
        Action(id="panel_2", scope=scope, keys="2", label="chat", help="Go to the chat"),
        Action(id="panel_3", scope=scope, keys="3", label="live pane",
               help="Go to the live pane", reason=situation.needs_pane_view),
        Action(id="panel_4", scope=scope, keys="4", label="deploy panel",
               help="Go to the pipeline"),
        Action(id="next_panel", scope=scope, keys="tab", label="next panel",
               help="Next panel", footer=8, in_palette=False),
        Action(id="previous_panel", scope=scope, keys="shift+tab", label="previous panel",
               help="Previous panel", in_palette=False),
        Action(id="filter", scope=scope, keys="slash,ctrl+f", label="filter",
               help="Filter users and sessions", footer=3, aliases="find search"),
        Action(id="next_waiting", scope=scope, keys="right_square_bracket", label="next waiting",
               help="Next session that needs you", reason=situation.needs_waiting),
        Action(id="previous_waiting", scope=scope, keys="left_square_bracket",
               label="previous waiting", help="Previous session that needs you",
               reason=situation.needs_waiting),
        Action(id="new_user", scope=scope, keys="n", label="new user", help="Make a user",
               footer=9),
        Action(id="new_session", scope=scope, keys="N", label="new session",
               help="Make another session for this user", footer=10,
               reason=situation.needs_user),
        Action(id="refresh", scope=scope, keys="r,f5", label="refresh",
               help="Read everything again"),
        Action(id="doctor", scope=scope, keys="", label="doctor",
               help="What this computer has and lacks", show=":doctor", aliases="health setup"),
        Action(id="costs", scope=scope, keys="", label="cost overview",
               help="What Claude and the clouds cost, and how near the ceilings are",
               show=":cost", aliases="see money price spend limits ceiling"),
        Action(id="demo", scope=scope, keys="", label="demo",
               help="Build a site with a scripted model, no account needed", show=":demo",
               reason=situation.needs_demo, aliases="try"),
        Action(id="back", scope=scope, keys="escape", label="back",
               help="One level back; never leaves the app", in_palette=False),
        Action(id="leave", scope=scope, keys="q", label="quit",
               help="Leave; sessions and runs go on", footer=22, aliases="exit"),
    )  # fmt: skip


def _screens() -> tuple[Action, ...]:
    return (
        Action(id="palette", scope=Scope.APP, keys="colon,ctrl+p", label="commands",
               help="Every command, by name", footer=20, in_palette=False),
        Action(id="help", scope=Scope.APP, keys="question_mark,f1", label="help",
               help="The keys that work here", footer=21, in_palette=False),
        Action(id="copy_or_leave", scope=Scope.APP, keys="ctrl+c", label="copy, or quit",
               help="Copies a selection; twice leaves the app", show="^C", in_palette=False),
        Action(id="close", scope=Scope.LOG, keys="escape,q", label="back",
               help="Back to the sessions", footer=1, in_palette=False),
        Action(id="next_error", scope=Scope.LOG, keys="n", label="next error",
               help="Next warning or error", footer=2, in_palette=False),
        Action(id="previous_error", scope=Scope.LOG, keys="N", label="previous error",
               help="Previous warning or error", footer=3, in_palette=False),
        Action(id="follow", scope=Scope.LOG, keys="f", label="follow",
               help="Follow the end of the log", footer=4, in_palette=False),
        Action(id="close_doctor", scope=Scope.DOCTOR, keys="escape,q", label="back",
               help="Back to the sessions", footer=1, in_palette=False),
        Action(id="check_again", scope=Scope.DOCTOR, keys="r", label="check again",
               help="Run all checks again", footer=2, in_palette=False),
        Action(id="copy_fix", scope=Scope.DOCTOR, keys="y", label="copy fix",
               help="Copy the remedy of the line", footer=3, in_palette=False),
        Action(id="close_costs", scope=Scope.COSTS, keys="escape,q", label="back",
               help="Back to the sessions", footer=1, in_palette=False),
        Action(id="read_costs", scope=Scope.COSTS, keys="r", label="read again",
               help="Read the figures again", footer=2, in_palette=False),
        Action(id="start_demo", scope=Scope.WELCOME, keys="t", label="try the demo",
               help="A scripted model builds, deploys and tests a page", footer=1,
               reason=situation.needs_demo, in_palette=False),
        Action(id="start_user", scope=Scope.WELCOME, keys="n", label="new user",
               help="Make a user and start Claude", footer=2, in_palette=False),
        Action(id="start_doctor", scope=Scope.WELCOME, keys="i", label="doctor",
               help="What this computer has and lacks", footer=3, in_palette=False),
        Action(id="leave_welcome", scope=Scope.WELCOME, keys="q", label="quit",
               help="Leave the app", footer=4, in_palette=False),
        Action(id="close_welcome", scope=Scope.WELCOME, keys="escape", label="look around",
               help="Close this page", in_palette=False),
        Action(id="next_field", scope=Scope.FORM, keys="tab", label="next", help="Next field",
               footer=1, in_palette=False),
        Action(id="previous_field", scope=Scope.FORM, keys="shift+tab", label="back",
               help="Previous field", footer=2, in_palette=False),
        Action(id="create", scope=Scope.FORM, keys="ctrl+o", label="create",
               help="Create, from any field", footer=3, in_palette=False),
        Action(id="cancel_form", scope=Scope.FORM, keys="escape", label="cancel",
               help="Close without creating anything", footer=4, in_palette=False),
    )  # fmt: skip


def _dialogs() -> tuple[Action, ...]:
    return (
        Action(id="choose_next", scope=Scope.CHOICE, keys="right,space,l", label="choose",
               help="The next choice", in_palette=False),
        Action(id="choose_previous", scope=Scope.CHOICE, keys="left,h", label="choose",
               help="The choice before", in_palette=False),
        Action(id="leave_choice", scope=Scope.CHOICE, keys="enter", label="next",
               help="Go to the next field; Enter never creates", in_palette=False),
        Action(id="leave_text", scope=Scope.TEXT, keys="enter", label="next",
               help="Go to the next field; Enter never creates", in_palette=False),
        Action(id="break_line", scope=Scope.TEXT, keys="ctrl+j,shift+enter", label="newline",
               help="A new line", in_palette=False),
        Action(id="confirm", scope=Scope.CONFIRM, keys="y", label="do it",
               help="Do what the dialog asks", in_palette=False),
        Action(id="cancel", scope=Scope.DIALOG, keys="escape", label="cancel",
               help="Do nothing", in_palette=False),
        Action(id="next_button", scope=Scope.DIALOG, keys="tab,right", label="next",
               help="The next button", in_palette=False),
        Action(id="previous_button", scope=Scope.DIALOG, keys="shift+tab,left",
               label="previous", help="The button before", in_palette=False),
        Action(id="pick_next", scope=Scope.PICK, keys="down", label="down",
               help="The next command", in_palette=False),
        Action(id="pick_previous", scope=Scope.PICK, keys="up", label="up",
               help="The command before", in_palette=False),
        Action(id="pick", scope=Scope.PICK, keys="enter", label="run",
               help="Run the highlighted command", in_palette=False),
        Action(id="close_pick", scope=Scope.PICK, keys="escape", label="close",
               help="Close the list", in_palette=False),
    )  # fmt: skip


ACTIONS: tuple[Action, ...] = (
    *_moving(),
    *_lists(),
    *_approvals(),
    *_sessions(),
    *_main(),
    *_screens(),
    *_dialogs(),
)
BY_ID = {action.id: action for action in ACTIONS}


def of_scopes(scopes: Iterable[Scope]) -> list[Action]:
    """The rows that work where these scopes are active, in the order of the table."""
    wanted = set(scopes)
    return [action for action in ACTIONS if action.scope in wanted]


def bindings(*scopes: Scope) -> list[Binding]:
    """The bindings of some scopes. All are handled before any widget sees the key.

    That keeps keys in the order they were typed: the next key is looked at only when the action
    of the one before has moved the focus. A text field still takes what it can print.
    """
    from textual.binding import Binding  # noqa: PLC0415  # the table itself needs no terminal

    return [
        Binding(key, f"act('{action.id}', '{key}')", action.label, show=False, priority=True)
        for action in of_scopes(scopes)
        for key in action.keys.split(",")
        if key
    ]
