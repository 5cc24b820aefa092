"""The shipped library's documents taken apart: commands, fenced blocks, named files and keys.

What Claude is told to run, write or read is what these tests run, write and read.
"""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from core.files import read_regular
from core.injection.catalogue import read_catalogue
from core.models.user import HostProvider, SiteType
from core.paths import library_folder

LIBRARY = library_folder()
ITEMS = read_catalogue(LIBRARY).items
PAGE = "templates/CLAUDE.md"
BRIEFS = tuple(f"briefs/starter-{site_type}.md" for site_type in SiteType)
PROGRAMS = frozenset(
    (
        "tmux-builder", "aws", "az", "azd", "gcloud", "curl", "wget", "ssh", "scp", "git", "node",
        "npm", "npx", "pip", "pytest", "python", "python3", "sh", "bash", "sudo", "systemctl",
    )
)  # fmt: skip
"""Commands, whether or not this computer has them."""

SHELLS = frozenset({"sh", "bash", "shell", "console"})
_FENCE = re.compile(r"^```([a-z]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`]+)`")
_FILE = re.compile(r"(?:source|deployment|logs|prompts|output|state|\.claude)/[\w./*-]*")
_KEY = re.compile(r"(aws|azure|local)\.([a-z_]+)")
_PLACEHOLDER = re.compile(
    r"(?<![\w-])[A-Z][A-Z]*(?:_[A-Z]+)+(?![\w-])|(?<![\w-])[A-Z]{4,}(?![\w-])"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block of a document."""

    file: str
    language: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One text that Claude reads; `file` is relative to the library."""

    file: str
    text: str

    def blocks(self) -> list[Block]:
        return [
            Block(file=self.file, language=language, text=text)
            for language, text in _FENCE.findall(self.text)
        ]

    def spans(self) -> list[str]:
        """What stands in backticks outside of blocks, on one line."""
        prose = _FENCE.sub("", self.text)
        assert prose.count("`") % 2 == 0, f"{self.file}: a backtick without its other half"
        return [" ".join(span.split()) for span in _SPAN.findall(prose)]

    def commands(self) -> list[str]:
        """Every command of the text, as it stands there."""
        lines = [
            line.strip()
            for block in self.blocks()
            if block.language in SHELLS
            for line in block.text.replace("\\\n", " ").splitlines()
            if line.strip()
        ]
        return [*lines, *(span for span in self.spans() if is_command(span))]

    def files(self) -> list[str]:
        """Paths of the session's folder, some with a wildcard; without a line of a file."""
        spans = (span.partition("#")[0].partition(":")[0] for span in self.spans())
        return [span for span in spans if _FILE.fullmatch(span)]

    def parameters(self) -> list[tuple[str, str]]:
        """Named keys of a provider's block in `deployment/config.json`."""
        found = (_KEY.fullmatch(span) for span in self.spans())
        return [(one[1], one[2]) for one in found if one]


def documents() -> list[Document]:
    """Everything that Claude reads: the items, the session's page, the briefs."""
    items = [Document(file=item.file, text=item.content.decode()) for item in ITEMS]
    return [*items, *(_read(file) for file in (PAGE, *BRIEFS))]


def document(path: str) -> Document:
    """An item by the path that rules use."""
    (item,) = [one for one in ITEMS if one.path == path]
    return Document(file=item.file, text=item.content.decode())


def block(path: str, language: str) -> str:
    """The one block of that language in an item."""
    (found,) = [one.text for one in document(path).blocks() if one.language == language]
    return found


def is_command(span: str) -> bool:
    """Whether a span is to be typed: a program, known or on this computer, and words for it."""
    words = span.split()
    return len(words) > 1 and (words[0] in PROGRAMS or shutil.which(words[0]) is not None)


def commands() -> dict[str, list[str]]:
    """Every command, and the files in which it stands."""
    found: dict[str, list[str]] = {}
    for one in documents():
        for command in one.commands():
            found.setdefault(command, []).append(one.file)
    return found


def placeholders(command: str) -> list[str]:
    """Words in capitals that stand for a key of `deployment/config.json`."""
    return _PLACEHOLDER.findall(command)


def filled_in(command: str, config: Mapping[str, object]) -> list[str]:
    """The command's words with every placeholder replaced by what the configuration says.

    Args:
        config: `deployment/config.json`, whose provider's block comes first.
    """
    block = config[str(config["host_provider"])]
    assert isinstance(block, Mapping)
    values = {**config, **block}
    for name in placeholders(command):
        value = values.get(name.lower())
        assert isinstance(value, str), f"{command}: {name} is no text of config.json"
        command = re.sub(rf"(?<![\w-]){name}(?![\w-])", value, command)
    return shlex.split(command)


def injected_items(host_provider: HostProvider, site_type: SiteType) -> Iterator[Document]:
    """The documents that a session of that host and type is given, its page among them."""
    from core.injection.rules import choose, read_rules  # noqa: PLC0415

    choices = choose(read_rules(LIBRARY), read_catalogue(LIBRARY), host_provider, site_type)
    for choice in choices:
        yield Document(file=choice.item.file, text=choice.item.content.decode())
    yield _read(PAGE)


def _read(file: str) -> Document:
    content = read_regular(LIBRARY, file, limit=65_536)
    assert content is not None, file
    return Document(file=file, text=content.decode())
