"""A request of the CLI, checked as strictly as the real service does and read for the script."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import msgspec

from tmux_bridge.scripted_model.script import Kind

_FOLDER = re.compile(r"Primary working directory: (/[^\n\"\\]+)")
_FILE_TOOLS = frozenset({"Bash", "Read", "Write", "Edit"})
_NOT_TYPED = ("<system-reminder>", "[Request interrupted", "<local-command", "<command-name>")


class RefusedError(Exception):
    """The request is not one that the real service would take."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Block(msgspec.Struct, frozen=True):
    """One content block; fields of other block types are ignored."""

    type: str
    text: str = ""
    id: str = ""
    name: str = ""
    tool_use_id: str = ""
    content: msgspec.Raw = msgspec.Raw(b'""')
    is_error: bool = False


class Message(msgspec.Struct, frozen=True):
    """One message of the conversation."""

    role: str
    content: str | list[Block]

    def blocks(self) -> list[Block]:
        if isinstance(self.content, str):
            return [Block(type="text", text=self.content)]
        return self.content

    def typed(self) -> list[str]:
        """What a person wrote, without the texts that the CLI puts around it."""
        return [
            block.text
            for block in self.blocks()
            if block.type == "text" and not block.text.lstrip().startswith(_NOT_TYPED)
        ]


class _Tool(msgspec.Struct, frozen=True):
    name: str = ""


class _Body(msgspec.Struct, frozen=True):
    model: str
    messages: list[Message]
    max_tokens: int
    system: str | list[Block] = ""
    tools: list[_Tool] = []
    stream: bool = False


@dataclass(frozen=True)
class Conversation:
    """A checked request."""

    body: _Body
    headers: Mapping[str, str]

    @property
    def model(self) -> str:
        return self.body.model

    @property
    def stream(self) -> bool:
        return self.body.stream

    @property
    def session(self) -> str:
        return self.headers.get("x-claude-code-session-id", "")

    @cached_property
    def kind(self) -> Kind:
        if self.headers.get("x-claude-code-agent-id"):
            return Kind.SUBAGENT
        names = {tool.name for tool in self.body.tools}
        return Kind.MAIN if names & _FILE_TOOLS else Kind.SIDE

    @cached_property
    def system_text(self) -> str:
        system = self.body.system
        texts = [system] if isinstance(system, str) else [block.text for block in system]
        texts += [
            block.text
            for message in self.body.messages
            if message.role == "system"
            for block in message.blocks()
        ]
        return "\n".join(texts)

    @cached_property
    def folder(self) -> str:
        found = _FOLDER.search(self.system_text) or _FOLDER.search(
            "\n".join(b.text for m in self.body.messages for b in m.blocks())
        )
        return found[1].strip() if found else "."

    @cached_property
    def _prompt_index(self) -> int:
        for index in range(len(self.body.messages) - 1, -1, -1):
            message = self.body.messages[index]
            if message.role == "user" and message.typed():
                return index
        return 0

    @property
    def prompt(self) -> str:
        """The last typed prompt."""
        return "\n".join(self.body.messages[self._prompt_index].typed())

    @property
    def prompt_number(self) -> int:
        """How many typed prompts the conversation holds."""
        return sum(1 for m in self.body.messages if m.role == "user" and m.typed())

    @property
    def round(self) -> int:
        """How many answers the last typed prompt has had already."""
        later = self.body.messages[self._prompt_index + 1 :]
        return sum(1 for message in later if message.role == "assistant")

    @property
    def tool_results(self) -> list[str]:
        """The tool results that this request brings, as JSON text."""
        return [
            bytes(block.content).decode()
            for block in self._last_user().blocks()
            if block.type == "tool_result"
        ]

    @property
    def tools_before(self) -> set[str]:
        """Names of the tools that were called before the last typed prompt."""
        return {
            block.name
            for message in self.body.messages[: self._prompt_index]
            for block in message.blocks()
            if block.type == "tool_use"
        }

    def _last_user(self) -> Message:
        users = [message for message in self.body.messages if message.role == "user"]
        return users[-1]


def parse(content: bytes, headers: Mapping[str, str]) -> Conversation:
    """Check a body as the real service does.

    Raises:
        RefusedError: With the status and the sentence of the answer.
    """
    try:
        body = msgspec.json.decode(content, type=_Body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise RefusedError(400, f"The request body is not valid: {error}") from error
    _check_messages(body.messages)
    if body.max_tokens < 1:
        raise RefusedError(400, "max_tokens: must be greater than or equal to 1")
    return Conversation(body, headers)


def _check_messages(messages: list[Message]) -> None:
    if not any(message.role == "user" for message in messages):
        raise RefusedError(400, "messages: at least one user message is required")
    asked: set[str] = set()
    for index, message in enumerate(messages):
        where = f"messages.{index}"
        if message.role not in {"user", "assistant", "system"}:
            raise RefusedError(400, f"{where}.role: {message.role!r} is not allowed")
        if not message.blocks():
            raise RefusedError(400, f"{where}: content must not be empty")
        if message.role != "system":
            asked = _check_tools(message, asked, where)
    if asked:
        raise RefusedError(400, "messages: tool_use blocks without tool_result at the end")


def _check_tools(message: Message, asked: set[str], where: str) -> set[str]:
    """The ids of tool calls that the next message has to answer."""
    blocks = message.blocks()
    for block in blocks:
        if block.type == "text" and not block.text:
            raise RefusedError(400, f"{where}: text content blocks must be non-empty")
    answered = {block.tool_use_id for block in blocks if block.type == "tool_result"}
    if answered - asked:
        raise RefusedError(400, f"{where}: unexpected tool_use_id in tool_result blocks")
    if message.role == "user":
        if asked - answered:
            raise RefusedError(400, f"{where}: tool_use ids without tool_result blocks")
        return set()
    return asked | {block.id for block in blocks if block.type == "tool_use"}
