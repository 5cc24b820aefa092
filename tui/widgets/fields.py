"""Fields of forms. Enter goes to the next field and never creates anything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import Static, TextArea

from tui.acting import Acting
from tui.actions import Scope, bindings
from tui.messages import SectionMoved
from tui.plain import clean
from tui.theme import ACCENT_HEX, FAINT_HEX, MUTED_HEX, TEXT_HEX


class Choice(Widget, Acting, can_focus=True, inherit_bindings=False):
    """One of a few words, all of them visible."""

    SCOPES: ClassVar[tuple[Scope, ...]] = (Scope.CHOICE,)
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(Scope.CHOICE)]
    DEFAULT_CSS = "Choice { height: 1; width: 1fr; }"
    chosen = reactive(0)

    class Changed(Message):
        """Another word was chosen."""

    def __init__(self, options: Sequence[tuple[str, str]], *, id: str) -> None:  # noqa: A002  # the library's own name
        super().__init__(id=id)
        self._options = list(options)

    @property
    def value(self) -> str:
        return self._options[self.chosen][0]

    @property
    def explanation(self) -> str:
        return self._options[self.chosen][1]

    def watch_chosen(self) -> None:
        self.post_message(self.Changed())

    def render(self) -> Content:
        parts: list[tuple[str, str]] = []
        for number, (word, _) in enumerate(self._options):
            is_chosen = number == self.chosen
            mark = "(*)" if is_chosen else "( )"
            colour = ACCENT_HEX if is_chosen and self.has_focus else TEXT_HEX
            parts.append((f"{mark} {word}   ", colour if is_chosen else MUTED_HEX))
        if self.has_focus:
            parts.append(("Space chooses", FAINT_HEX))
        return Content.assemble(*parts)

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        event.stop()
        self.do_choose_next()

    def do_choose_next(self) -> None:
        self.chosen = (self.chosen + 1) % len(self._options)

    def do_choose_previous(self) -> None:
        self.chosen = (self.chosen - 1) % len(self._options)

    def do_leave_choice(self) -> None:
        self.post_message(SectionMoved())


class PromptField(TextArea, Acting):
    """The first wish; a pasted text keeps its lines."""

    SCOPES: ClassVar[tuple[Scope, ...]] = (Scope.TEXT,)
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(Scope.TEXT)]

    def __init__(self) -> None:
        super().__init__(
            id="prompt", soft_wrap=True, show_line_numbers=False, compact=True,
            placeholder="optional: what should Claude build?", highlight_cursor_line=False,
        )  # fmt: skip

    def do_leave_text(self) -> None:
        self.post_message(SectionMoved())

    def do_break_line(self) -> None:
        self.insert("\n")


class Field(Vertical):
    """A label, a widget and a note in words below it."""

    DEFAULT_CSS = "Field { height: auto; }"

    def __init__(self, label: str, widget: Widget) -> None:
        super().__init__(id=f"field-{widget.id}", classes="field")
        self._label = label
        self.widget = widget
        self._note = Static(Content(""), classes="field-note")

    def compose(self) -> list[Widget]:
        from textual.containers import Horizontal  # noqa: PLC0415  # beside its only use

        return [
            Horizontal(
                Static(Content(self._label), classes="field-label"), self.widget,
                classes="field-row",
            ),
            self._note,
        ]  # fmt: skip

    def say(self, text: str, *, tone: str = "") -> None:
        """Tone is empty, `good` or `bad`."""
        self._note.set_class(tone == "bad", "-bad")
        self._note.set_class(tone == "good", "-good")
        self._note.update(Content(clean(text)))
