"""The session's own pages: which templates exist, what may be filled in, and how.

Only ids, closed sets and checked profile names are filled in, never text that a person typed:
what stands in CLAUDE.md is obeyed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from core.errors import UsageError
from core.files import read_regular
from core.injection.problems import LibraryError, Problem
from core.models.session import SESSION_ID
from core.models.states import SessionMode
from core.models.user import HostProvider, SiteType

TEMPLATES = "templates"
SETTINGS = "settings.json"
TEMPLATE_LIMIT_BYTES = 16_384
PLACEHOLDER = re.compile(r"\{\{([^{}\n]*)\}\}")
_USER_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_PROFILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._@-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """One page: its file below `templates/`, where it goes below `.claude`, its rights."""

    file: str
    target: str
    mode: int = 0o600
    is_filled_in: bool = False

    @property
    def source(self) -> str:
        return f"{TEMPLATES}/{self.file}"


SESSION_TEMPLATES = (
    Template(file="CLAUDE.md", target="CLAUDE.md", is_filled_in=True),
    Template(file="settings.json", target=SETTINGS),
    Template(file="hooks/event.sh", target="hooks/event.sh", mode=0o700),
    Template(file="hooks/approve.sh", target="hooks/approve.sh", mode=0o700),
    Template(file="hooks/status.sh", target="hooks/status.sh", mode=0o700),
)
"""What an unattended session gets."""

SUPERVISED_SETTINGS = Template(file="settings.supervised.json", target=SETTINGS)
"""In the place of the settings, where the operator is asked about what they do not allow."""

ALL_TEMPLATES = (*SESSION_TEMPLATES, SUPERVISED_SETTINGS)


def session_templates(mode: SessionMode) -> tuple[Template, ...]:
    """The pages of a session of that mode."""
    if mode is SessionMode.UNATTENDED:
        return SESSION_TEMPLATES
    others = (page for page in SESSION_TEMPLATES if page.target != SETTINGS)
    return (*others, SUPERVISED_SETTINGS)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFacts:
    """What a session's pages may say about it.

    Raises:
        UsageError: An id or profile holds anything but what ids and profiles are made of.
    """

    user_id: str
    session_id: str
    host_provider: HostProvider
    site_type: SiteType
    product_version: str
    mode: SessionMode = SessionMode.UNATTENDED
    aws_profile: str = "sunwaretech"
    azure_profile: str = "sunwaretech"

    def __post_init__(self) -> None:
        for name, value, form in (
            ("user id", self.user_id, _USER_ID),
            ("session id", self.session_id, SESSION_ID),
            ("setting aws.profile", self.aws_profile, _PROFILE),
            ("setting azure.subscription", self.azure_profile, _PROFILE),
        ):
            if not form.fullmatch(value):
                raise UsageError(
                    f"The {name} {value[:80]!r} cannot be written into a session's CLAUDE.md.",
                    remedy="Use letters, digits, spaces and . _ @ - only, at most 64 characters.",
                )

    @property
    def resource_name(self) -> str:
        """`tmux-{guid prefix}-{session}`, the readable name of this site's cloud resources."""
        digits = self.session_id.removeprefix("sess_").replace("_", "")
        return f"tmux-{self.user_id[:8]}-{digits}"


PLACEHOLDERS = frozenset(
    {
        "user_id",
        "session_id",
        "host_provider",
        "site_type",
        "aws_profile",
        "azure_profile",
        "resource_name",
        "rule",
    }
)


def values_for(facts: SessionFacts, rule_names: str) -> Mapping[str, str]:
    """A value for each of `PLACEHOLDERS`."""
    given = {"rule": rule_names}
    return {name: given.get(name) or str(getattr(facts, name)) for name in PLACEHOLDERS}


def read_template(library: Path, template: Template) -> bytes:
    """A template as it is.

    Raises:
        LibraryError: It is missing, a link, or too large.
    """
    content = read_regular(library, template.source, limit=TEMPLATE_LIMIT_BYTES)
    if content is None:
        text = f"missing, a symbolic link, or larger than {TEMPLATE_LIMIT_BYTES} bytes"
        raise LibraryError(Problem(file=template.source, line=1, text=text))
    return content


def fill_in(template: Template, content: bytes, values: Mapping[str, str]) -> bytes:
    """Put the values in, once each; a value is never looked at for placeholders.

    Raises:
        LibraryError: A placeholder is unknown, or the page is not UTF-8 text.
    """
    problems = placeholder_problems(template, content)
    if problems:
        raise LibraryError(problems[0])
    return PLACEHOLDER.sub(lambda match: values[match[1]], content.decode()).encode()


def placeholder_problems(template: Template, content: bytes) -> list[Problem]:
    """Every placeholder that nothing is known for."""
    try:
        lines = content.decode().split("\n")
    except UnicodeDecodeError:
        return [Problem(file=template.source, line=1, text="not UTF-8 text")]
    return [
        Problem(file=template.source, line=number, text=f"unknown placeholder {{{{{name}}}}}")
        for number, line in enumerate(lines, start=1)
        for name in PLACEHOLDER.findall(line)
        if name not in PLACEHOLDERS
    ]
