"""The main screen: sessions, chat, live pane and pipeline, and how facts reach them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.timer import Timer

from core.models.states import AgentState, SessionMode
from tui import messages
from tui.actions import Scope, bindings
from tui.plain import clean_line
from tui.quantities import short_session
from tui.screens.main_keys import MainKeys
from tui.screens.panels import CHAT, PANE, SESSIONS
from tui.screens.shown_session import ShownSession
from tui.session_acts import SessionActs
from tui.session_index import SessionIndex
from tui.situation import Situation
from tui.states import Glyphs
from tui.widgets.bars import FooterBar, HeaderBar, NoticeBar, TabStrip, TooSmall
from tui.widgets.filter_box import FilterBox
from tui.widgets.session_list import SessionList

if TYPE_CHECKING:
    from core.models.overview import SessionRow
    from core.models.session import SessionKey
    from core.services.services import Services
    from tui.feeds import Changes, StoreFeed
    from tui.ports import Terminal
    from tui.screens.parts import Parts

LEAST_WIDTH, LEAST_HEIGHT = 60, 15
FOOTER_DELAY_S = 0.02


class MainScreen(MainKeys, inherit_bindings=False):
    """Holds what is selected; panels draw it, feeds bring it, acts change it."""

    SCOPES: ClassVar[tuple[Scope, ...]] = (Scope.SESSION, Scope.MAIN)
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(Scope.SESSION, Scope.MAIN)]
    AUTO_FOCUS = "#list"

    def __init__(
        self,
        services: Services,
        terminal: Terminal,
        changes: Callable[[], Changes],
        *,
        first: SessionKey | None = None,
    ) -> None:
        super().__init__()
        self.index = SessionIndex()
        self.acts = SessionActs(services, self)
        self.terminal = terminal
        self._glyphs: Glyphs = self.app.glyphs  # type: ignore[attr-defined]  # only this app opens it
        self.shown = ShownSession(self, services, terminal.pane_view)
        self._changes = changes
        self._feed: StoreFeed | None = None
        self._first = first
        self._is_loaded = False
        self._user_id: str | None = None
        self._footer_timer: Timer | None = None

    def compose(self) -> ComposeResult:
        yield HeaderBar(self._glyphs)
        yield TabStrip()
        with Horizontal(id="body"):
            with Vertical(id="sessions", classes="panel"):
                yield FilterBox()
                yield SessionList(self.index, self._glyphs)
            with Vertical(id="middle"):
                yield Vertical(id="chat", classes="panel")
                yield Vertical(id="writing", classes="panel")
            yield Vertical(id="pane", classes="panel")
            yield Vertical(id="deploy", classes="panel")
        yield NoticeBar()
        yield FooterBar()
        yield TooSmall(f"{LEAST_WIDTH}x{LEAST_HEIGHT}")

    def on_mount(self) -> None:
        for selector, title in (("#sessions", "1 Sessions"), ("#writing", "Message")):
            self.query_one(selector).border_title = Content(title)
        self._show_titles()
        self.app.call_later(self.app.take_early_keys)  # type: ignore[attr-defined]  # see above
        self.call_after_refresh(self._begin)

    async def _begin(self) -> None:
        """After the first paint: build the insides, read the store, and follow it."""
        from tui.screens.parts import furnish  # noqa: PLC0415  # after the first paint

        self.parts = await furnish(self, self._glyphs)
        self._show_session()
        from tui.background import as_worker  # noqa: PLC0415  # threads start here
        from tui.feeds import StoreFeed  # noqa: PLC0415

        self._feed = StoreFeed(self.acts.services, self.post_message, self._changes)
        self.run_worker(as_worker(self._feed.run), name="store", group="store", exclusive=True)
        self.shown.start()

    def on_unmount(self) -> None:
        if self._feed is not None:
            self._feed.stop()
        self.shown.stop()

    def on_resize(self) -> None:
        size = self.app.size
        is_small = size.width < LEAST_WIDTH or size.height < LEAST_HEIGHT
        self.query_one(TooSmall).display = is_small
        self.set_class(size.height < 30, "-short")
        self.arrange_panels()

    # What the keys act on

    @property
    def row(self) -> SessionRow | None:
        key = self.shown.key
        return None if key is None else self.index.rows.get(key)

    @property
    def has_pane_view(self) -> bool:
        return self.terminal.pane_view is not None

    @property
    def session_list(self) -> SessionList:
        return self.query_one(SessionList)

    def situation(self) -> Situation:
        counts = self.index.counts
        asked = self.parts.approval.approval if self.parts is not None else None
        return Situation(
            row=self.row,
            user_id=self._user_id,
            has_pane_view=self.has_pane_view,
            has_attach=self.terminal.attach is not None,
            has_demo=self.terminal.demo is not None,
            waiting=next(iter(counts.values()), 0),
            has_rule=asked is not None and asked.rule_subject is not None,
        )

    def notice(self, text: str, *, is_bad: bool = False) -> None:
        self.query_one(NoticeBar).show(text, is_bad=is_bad)

    # Facts

    @on(messages.RowsLoaded)
    def _take_all(self, message: messages.RowsLoaded) -> None:
        self.index.load(message.users, message.rows)
        self._rows_changed(set(self.index.rows))
        if not self._is_loaded:
            self._is_loaded = True
            self._show_session()
            is_typing = self.focused is not self.session_list
            if not message.users and not message.rows and not is_typing:
                self.welcome()

    @on(messages.RowsChanged)
    def _take_changed(self, message: messages.RowsChanged) -> None:
        self.index.change(message.rows, message.users)
        self._rows_changed({row.key for row in message.rows})

    def _rows_changed(self, changed: set[SessionKey]) -> None:
        self.session_list.index_changed()
        if self.shown.key in changed:
            self.shown.changed(self.row)
            self._show_session()
        self.show_counts()
        if self._first in self.index.rows:
            key, self._first = self._first, None
            self.open_session(key)

    @on(messages.SessionHighlighted)
    def _select(self, message: messages.SessionHighlighted) -> None:
        self._user_id = message.user_id
        if message.key != self.shown.key:
            self.shown.select(message.key, self.row_of(message.key))
            self._show_session()
        self.show_counts()

    def row_of(self, key: SessionKey | None) -> SessionRow | None:
        return None if key is None else self.index.rows.get(key)

    @on(messages.DetailLoaded)
    def _take_detail(self, message: messages.DetailLoaded) -> None:
        if message.detail.key == self.shown.key:
            self.shown.take(message.detail)
            self._show_session()

    @on(messages.PaneCaptured)
    def _take_frame(self, message: messages.PaneCaptured) -> None:
        if message.key != self.shown.key or self.parts is None:
            return
        view = self.parts.pane
        if message.frame is None:
            view.forget("Claude is not running here; a message, or a for attach, starts it")
        else:
            view.show(message.frame)

    # Drawing what is selected

    def _show_session(self) -> None:
        row, detail, parts = self.row, self.shown.detail, self.parts
        if parts is None:
            return
        entries = detail.chat if detail is not None else ()
        parts.chat.show(self.shown.key, entries, empty=self._empty_chat())
        box = parts.message
        box.belong_to(self.shown.key)
        if detail is not None:
            box.set_history(detail.sent_texts)
        parts.pipeline.show(row.session if row else None, detail)
        self._show_question(parts, row)
        self._show_titles()

    def _empty_chat(self) -> str:
        if self.shown.key is None:
            return "No session is selected." if self._is_loaded else "Reading …"
        if self.shown.detail is None:
            return "Reading …"
        return "Nothing was said yet. Press i and write to Claude."

    def _show_question(self, parts: Parts, row: SessionRow | None) -> None:
        box, is_new = parts.message, parts.ask(row, self.shown.detail)
        card = parts.open_card
        if is_new and card is not None and self.focused is box and box.is_blank:
            self.set_focus(card)
        elif self.focused in parts.cards and self.focused is not card:
            self.set_focus(card or box)

    def _show_titles(self) -> None:
        row = self.row
        name, place, working = "", "", ""
        if row is not None:
            name = f" {clean_line(row.email)} {short_session(row.key.session_id)}"
            place = f" {row.session.host_provider} {row.session.site_type}"
            working = " · Claude works" if row.agent.state is AgentState.WORKING else ""
            name += " · supervised" if row.session.mode is SessionMode.SUPERVISED else ""
        self.query_one("#chat").border_title = Content(f"2 Chat {name}{working}")
        self.query_one("#pane").border_title = Content(f"3 Live pane {name}")
        self.query_one("#deploy").border_title = Content(f"4 Deploy {place}")

    def show_counts(self) -> None:
        total, shown = len(self.index.rows), self.index.shown
        text = f"{shown:,} of {total:,}" if self.index.filter_text else f"{total:,}"
        self.query_one("#sessions").border_subtitle = Content(text)
        header_row = self.row if self.tab != SESSIONS else None
        self.query_one(HeaderBar).show(
            self.index.counts, scripted=self.index.has_scripted, row=header_row,
            uncontained=self.acts.services.sessions.is_uncontained,
        )  # fmt: skip
        self.footer_changed()

    def panels_changed(self) -> None:
        self.shown.watch_pane(is_visible=self.is_visible(PANE) and self.has_pane_view)
        if self._is_loaded:
            self.show_counts()

    def on_descendant_focus(self) -> None:
        self.footer_changed()

    def footer_changed(self) -> None:
        """Draw the footer once for everything that changes within a moment."""
        if self._footer_timer is None:
            self._footer_timer = self.set_timer(FOOTER_DELAY_S, self._show_footer)

    def _show_footer(self) -> None:
        self._footer_timer = None
        from tui.hints import hints  # noqa: PLC0415  # not needed for the first paint

        self.query_one(FooterBar).show(hints(self, self.situation()))

    def open_session(self, key: SessionKey) -> None:
        """Select a session and write to it."""
        if self.session_list.go_to(key) and key != self.shown.key:
            self.shown.select(key, self.row_of(key))
            self._show_session()
        self.focus_panel(CHAT)
        self.focus_message()

    def open_when_there(self, key: SessionKey) -> None:
        """Open a session that was just made, as soon as it is in the list."""
        if key in self.index.rows:
            self.open_session(key)
        else:
            self._first = key

    def reload(self) -> None:
        if self._feed is not None:
            self._feed.reload()
