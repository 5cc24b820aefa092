"""Where the operator writes to Claude."""

from __future__ import annotations

from typing import ClassVar

from textual.actions import SkipAction
from textual.binding import BindingType
from textual.widgets import TextArea

from core.models.session import SessionKey
from tui.acting import Acting
from tui.actions import Scope, bindings
from tui.messages import WishWritten


class MessageBox(TextArea, Acting):
    """Enter sends, a backslash before it breaks the line; each session keeps its own draft."""

    DEFAULT_CSS = """
    MessageBox, MessageBox:focus {
        height: auto; min-height: 1; max-height: 7; border: none; padding: 0 1;
        background: $background; background-tint: transparent;
        & .text-area--placeholder { color: $faint; }
    }
    """
    SCOPES: ClassVar[tuple[Scope, ...]] = (Scope.MESSAGE,)
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(Scope.MESSAGE)]

    def __init__(self) -> None:
        super().__init__(
            id="message", soft_wrap=True, show_line_numbers=False, compact=True,
            placeholder="Write to Claude: what should change?", highlight_cursor_line=False,
        )  # fmt: skip
        self._drafts: dict[SessionKey, str] = {}
        self._key: SessionKey | None = None
        self._sent: list[str] = []
        self._back = 0
        self._unsent = ""

    @property
    def is_blank(self) -> bool:
        return not self.text.strip()

    def belong_to(self, key: SessionKey | None) -> None:
        """Another session is shown: put its draft in the place of this one's."""
        if key == self._key:
            return
        if self._key is not None:
            self._drafts[self._key] = self.text
        self._key, self._back, self._sent = key, 0, []
        self._put(self._drafts.pop(key, "") if key is not None else "")

    def set_history(self, sent: list[str]) -> None:
        self._sent = sent

    def give_back(self, key: SessionKey, text: str) -> None:
        """A text could not be sent: nothing that was written is lost."""
        if key != self._key:
            self._drafts[key] = "\n".join(part for part in (text, self._drafts.get(key)) if part)
        elif self.is_blank:
            self._put(text)

    def taken(self) -> None:
        """The text is on its way."""
        self._put("")
        self._back = 0

    def _put(self, text: str) -> None:
        self.text = text
        self.move_cursor(self.document.end)

    def do_send(self) -> None:
        row, column = self.cursor_location
        if column and self.document.get_line(row)[column - 1] == "\\":
            self.action_delete_left()
            self.do_newline()
        elif not self.is_blank:
            self.post_message(WishWritten(self.text))

    def do_newline(self) -> None:
        self.insert("\n")

    def do_earlier(self) -> None:
        if self.cursor_location[0] > 0 or self._back >= len(self._sent):
            raise SkipAction
        if self._back == 0:
            self._unsent = self.text
        self._back += 1
        self._put(self._sent[-self._back])
        self.move_cursor((0, 0))

    def do_later(self) -> None:
        if self.cursor_location[0] < self.document.line_count - 1 or self._back == 0:
            raise SkipAction
        self._back -= 1
        self._put(self._sent[-self._back] if self._back else self._unsent)
