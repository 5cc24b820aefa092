"""The form for a new user: checked while typing, created by its button or Ctrl+O only."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from core.errors import BuilderError
from core.models.user import normalize_email, normalize_phone
from tui.acting import Acting
from tui.actions import Scope, bindings
from tui.background import in_background
from tui.messages import SectionMoved, SessionMade
from tui.widgets.fields import Choice, Field, PromptField

if TYPE_CHECKING:
    from core.services.services import Services
    from core.services.users import CreatedUser, UserPreview

logger = logging.getLogger(__name__)

HOSTS = (
    ("local", "served on 127.0.0.1, no account needed"),
    ("aws", "S3 and CloudFront, or EC2; needs an AWS login to deploy"),
    ("azure", "Blob Storage and Front Door, or a VM; needs an Azure login to deploy"),
)
TYPES = (
    ("static", "files: HTML, CSS, JavaScript and pictures"),
    ("dynamic", "a program that answers requests, started by a Procfile"),
)


class NewUser(ModalScreen[SessionMade], Acting, inherit_bindings=False):
    """Answers with the session to open, or None when nothing was created."""

    CSS_PATH = "pages.tcss"
    SCOPES: ClassVar[tuple[Scope, ...]] = (Scope.FORM,)
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(Scope.FORM)]
    AUTO_FOCUS = "#email"

    def __init__(self, services: Services) -> None:
        super().__init__()
        self._services = services
        self._is_creating = False

    def compose(self) -> ComposeResult:
        page = VerticalScroll(classes="page form", can_focus=False)
        page.border_title = Content("New user")
        page.border_subtitle = Content("Tab next   Ctrl+O create   Esc cancel")
        with page:
            yield Field("Email", Input(id="email", placeholder="ana@acme.io", compact=True))
            yield Field("Phone", Input(id="phone", placeholder="+48 600 100 200", compact=True))
            yield Field("Name", Input(id="name", placeholder="optional", compact=True))
            yield Field("Hosting", Choice(HOSTS, id="host"))
            yield Field("Site type", Choice(TYPES, id="type"))
            yield Field("First wish", PromptField())
            yield Field("User id", Static(Content("made from e-mail and phone"), id="user-id"))
            with Horizontal(classes="buttons"):
                yield Button("Create and start", id="create", compact=True)
                yield Button("Create only", id="create-only", compact=True)
                yield Button("Cancel", id="cancel", compact=True)

    def on_mount(self) -> None:
        self._explain()

    def _field(self, name: str) -> Field:
        return self.query_one(f"#field-{name}", Field)

    def _value(self, name: str) -> str:
        return self.query_one(f"#{name}", Input).value

    # While typing

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        name = event.input.id or ""
        if name in {"email", "phone"}:
            self._check(name, is_final=False)
            self._preview()

    @on(Choice.Changed)
    def _explain(self) -> None:
        for name in ("host", "type"):
            self._field(name).say(self.query_one(f"#{name}", Choice).explanation)

    def _check(self, name: str, *, is_final: bool) -> bool:
        """Say what is wrong; an empty field is only wrong when something shall be created."""
        normalize: Callable[[str], str] = normalize_email if name == "email" else normalize_phone
        field, value = self._field(name), self._value(name)
        if not value.strip() and not is_final:
            field.say("")
            return False
        try:
            normalize(value)
        except BuilderError as error:
            field.say(f"{error.message} {error.remedy}", tone="bad")
            return False
        field.say("ok", tone="good")
        return True

    def _preview(self) -> None:
        self.run_worker(self._show_preview(), name="preview", group="preview", exclusive=True)

    async def _show_preview(self) -> None:
        email, phone = self._value("email"), self._value("phone")
        try:
            found = await in_background(lambda: self._services.users.preview(email, phone))
        except BuilderError:
            self._show_id("made from e-mail and phone", "")
            return
        self._show_found(found)

    def _show_found(self, found: UserPreview) -> None:
        if found.exists is None:
            self._show_id(found.user_id, "new user; the same e-mail and phone always give this id")
        else:
            user = found.exists
            kept = f"{user.host_provider} {user.site_type} stay"
            self._show_id(found.user_id, f"already exists and will be opened; {kept}")

    def _show_id(self, text: str, note: str) -> None:
        self.query_one("#user-id", Static).update(Content(text))
        self._field("user-id").say(note)

    # Moving

    @on(SectionMoved)
    @on(Input.Submitted)
    def _entered(self) -> None:
        self.focus_next()

    def do_next_field(self) -> None:
        self.focus_next()

    def do_previous_field(self) -> None:
        self.focus_previous()

    def do_cancel_form(self) -> None:
        self.dismiss(None)

    # Creating

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "cancel":
            self.dismiss(None)
        else:
            self._create(start=event.button.id == "create")

    def do_create(self) -> None:
        self._create(start=True)

    def _create(self, *, start: bool) -> None:
        checks = {name: self._check(name, is_final=True) for name in ("email", "phone")}
        bad = next((name for name, is_good in checks.items() if not is_good), None)
        if bad is not None:
            self.set_focus(self.query_one(f"#{bad}"))
        elif not self._is_creating:
            self._is_creating = True
            self._show_id("creating …", "")
            self.run_worker(self._make(start=start), name="create", group="create")

    async def _make(self, *, start: bool) -> None:
        prompt = self.query_one(PromptField).text.strip() or None
        email, phone, name = self._value("email"), self._value("phone"), self._value("name")
        host = self.query_one("#host", Choice).value
        kind = self.query_one("#type", Choice).value
        try:
            made = await in_background(
                lambda: self._services.users.create(
                    email,
                    phone,
                    host_provider=host,
                    site_type=kind,
                    name=name.strip() or None,
                    prompt=prompt,
                    start=start,
                )
            )
        except BuilderError as error:
            self._refused(f"{error.message} {error.remedy}")
        except Exception as error:  # the edge: a fault of ours must not end the app
            logger.exception("user not created")
            self._refused(f"{type(error).__name__}: {error}. The trace is in the program's log.")
        else:
            key = None if made.session is None else made.session.key
            self.dismiss(SessionMade(_sentence(made), key))
        finally:
            self._is_creating = False

    def _refused(self, text: str) -> None:
        self._show_id("nothing was created", "")
        self._field("user-id").say(text, tone="bad")


def _sentence(made: CreatedUser) -> str:
    if not made.is_new:
        kept = " ".join(warning.message for warning in made.warnings)
        return f"{made.user.email} already exists, opening it. {kept}".strip()
    injected = made.injected
    if injected is None:
        return f"{made.user.email} is created"
    added = f"{len(injected.agents)} agents and {len(injected.skills)} skills were added"
    return f"{made.user.email} is created, Claude starts; {added}"
