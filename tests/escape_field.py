"""Where the attacks of `escapes` are made: the real product with an attacker as its Claude.

Worker, tmux, the pane's script and bubblewrap are the product's own; only the program that it
starts in the pane is ours. Two customers are there, one of them with two sessions.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
import urllib.error
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.checks.own_test_files import copy_own_tests
from core.models.request import RequestKind
from core.models.session import SessionKey
from core.models.states import AgentState
from core.paths import CHECKOUT, SessionPaths
from tests.contract.loop_kit import Loop, get, running_loop
from tests.escapes import INSIDE, RESULTS, program

SECRET = "planted-0123456789-secret"
SITE = "SECRET-OF-A-SITE"
CLIPBOARD = "ESCAPED"
ATTACKS_S = 180.0


@dataclass
class Field:
    """A running product in which one session attacks."""

    loop: Loop
    limited: bool
    attacker: SessionKey
    sibling: SessionKey
    victim: SessionKey
    facts: dict[str, object]

    @property
    def own(self) -> SessionPaths:
        return self.loop.paths(self.attacker)

    def start(self, key: SessionKey, code: str) -> None:
        """Start a session whose Claude is this program; it lives on afterwards."""
        (self.loop.paths(key).source / "attack.py").write_text(
            f"{code}\nimport time\ntime.sleep(900)"
        )
        services = self.loop.services
        services.environment.store.requests.add(RequestKind.START, key, None)
        services.environment.worker.wake()

    def agent_state(self, key: SessionKey) -> AgentState:
        return self.loop.services.environment.store.agents.get(key).state

    def ask(self, name: str, content: Mapping[str, object]) -> dict[str, Any] | None:
        """Drop a request as the pane can; its answer, None where nobody gives one soon."""
        (self.own.requests / f".{name}").write_text(json.dumps(content))
        (self.own.requests / f".{name}").rename(self.own.requests / f"{name}.json")
        return self.answer(name)

    def answer(self, name: str, deadline_s: float = 10.0) -> dict[str, Any] | None:
        path = self.own.answers / f"{name}.json"
        with suppress(AssertionError):
            self.loop.until(path.exists, f"the answer to {name}", deadline_s)
            found: dict[str, Any] = json.loads(path.read_text())
            return found
        return None

    def tell(self, **payload: object) -> None:
        """Drop an event as a hook does."""
        name = f"{uuid.uuid4().int % 10**5}"
        now = subprocess.run(["date", "+%s%N"], check=True, capture_output=True, text=True).stdout
        hidden = self.own.hooks / f".{name}"
        hidden.write_text(json.dumps(payload))
        hidden.rename(self.own.hooks / f"{now.strip()}-{name}.json")


@contextmanager
def escape_field(*, limited: bool) -> Iterator[Field]:
    """A product whose attacker waits to be started."""
    with (
        tempfile.TemporaryDirectory(prefix="tbe-", dir="/tmp") as folder,
        running_loop(
            AWS_SECRET_ACCESS_KEY=SECRET, TMUX_BUILDER_CLAUDE_COMMAND=str(_attacker(Path(folder))),
            TMUX_BUILDER_NETWORK="limited" if limited else "open",
        ) as loop,
        socket.socket(socket.AF_UNIX) as abstract,
        tempfile.NamedTemporaryFile(dir="/dev/shm", prefix="tbe-") as shared,
    ):  # fmt: skip
        abstract.bind(f"\0tmux-builder-{uuid.uuid4().hex}")
        abstract.listen()
        model = loop.model()
        attacker, sibling = loop.session(model), loop.session(model)
        other = loop.services.users.create("bob@example.org", "+15550100200", start=False).user
        victim = loop.services.sessions.create(
            other.user_id, start=False, simulated=True, model_url=model.url
        ).session.key
        for key in (sibling, victim):
            loop.deploy(key, SITE)
        field = Field(loop, limited, attacker, sibling, victim, {})
        _plant(field)
        field.facts = {
            **_facts(field, shared.name, Path(folder)),
            "abstract": abstract.getsockname()[1:].decode(),
        }
        yield field


def run_on_the_product(field: Field) -> dict[str, bool]:
    """Make the attacks that need the worker; whether each worked."""
    field.start(field.victim, "")
    field.loop.until(
        lambda: field.agent_state(field.victim) is not AgentState.ABSENT, "the victim's Claude"
    )
    return {name: attack(field) for name, attack in ON_THE_PRODUCT.items()}


def run_inside(field: Field) -> dict[str, dict[str, Any]]:
    """Make all attacks from the pane; what came of each."""
    attacks = [one for one in INSIDE if field.limited or not one.needs_limit]
    results = field.own.output / RESULTS
    results.unlink(missing_ok=True)
    where = f"F['session'] + '/output/{RESULTS}'"
    field.start(field.attacker, program(attacks, field.facts, where))
    field.loop.until(results.exists, "the results of the attacks", ATTACKS_S)
    found: dict[str, dict[str, Any]] = json.loads(results.read_text())
    assert len(found) == len(attacks)
    for name, check in _SEEN_OUTSIDE.items():
        found[name]["worked"] = found[name]["worked"] or check(field)
    return found


def _attacker(folder: Path) -> Path:
    python = Path(sys.prefix).resolve() / "bin" / "python"
    script = folder / "attacker"
    script.write_text(
        f'#!/bin/sh\nexec {python} -S -E -s "$TMUX_BUILDER_SESSION_DIR/source/attack.py"\n'
    )
    script.chmod(0o755)
    return script


def _plant(field: Field) -> None:
    home = field.loop.folder / "home"
    for path in (
        home / ".aws" / "credentials", home / ".claude" / ".credentials.json",
        home / ".config" / "x", field.loop.folder / "planted",
        field.loop.runtime.secrets / "pane-planted",
    ):  # fmt: skip
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_text(SECRET)


def _facts(field: Field, shared: str, folder: Path) -> dict[str, object]:
    loop, runtime, root = field.loop, field.loop.runtime, field.loop.root
    victim, own = loop.paths(field.victim), field.own
    session = loop.services.environment.store.sessions.get(field.victim)
    assert session is not None
    assert session.url is not None
    return {
        "root": str(root.path), "runtime": str(runtime.path), "checkout": str(CHECKOUT),
        "session": str(own.root), "config": str(own.claude_config),
        "releases": str(own.repository.parent), "sibling": str(loop.paths(field.sibling).root),
        "other_user": str(root.user(field.victim.user_id)), "other_source": str(victim.source),
        "other_claude": str(victim.claude_config),
        "other_session_path": str(victim.root), "home": str(loop.folder / "home"),
        "secrets": str(runtime.secrets), "start_file": str(runtime.secrets / "pane-planted"),
        "planted_tmp": str(loop.folder / "planted"), "planted_shm": shared,
        "planted_secret": SECRET, "worker": loop.wake(), "tmux_socket": str(runtime.tmux_socket),
        "worker_socket": str(runtime.worker_socket), "host_socket": str(runtime.host_socket),
        "python": sys.prefix, "program": str(folder / "attacker"),
        "site_port": int(session.url.rstrip("/").rpartition(":")[2]),
        "model": loop.models[0].url.rstrip("/"),
    }  # fmt: skip


def _has_buffer(field: Field) -> bool:
    command = ["tmux", "-S", str(field.loop.runtime.tmux_socket), "list-buffers"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=20)
    return CLIPBOARD in done.stdout


_SEEN_OUTSIDE: Mapping[str, Callable[[Field], bool]] = {
    "a new file in the data root": lambda field: (field.loop.root.path / "escaped").exists(),
    "the operator's clipboard": _has_buffer,
}


# Attacks on the product itself: True is what must not be.


def links_are_published(field: Field) -> bool:
    """Each link is deployed by itself: refused or left out, never followed."""
    loop, source = field.loop, field.own.source
    url = str(loop.deploy(field.attacker, "own page").result["url"])
    served = False
    for name, target, path, text in (
        ("passwd.txt", "/etc/passwd", "/passwd.txt", "root:"),
        ("other", str(loop.paths(field.victim).source), "/other/index.html", SITE),
        ("up.html", "../.claude/settings.json", "/up.html", "permissions"),
        ("around.html", "../../../sessions/x/../../../registry.json", "/around.html", "@"),
    ):
        (source / name).symlink_to(target)
        loop.wait(loop.start(field.attacker, to_step=5))
        served = served or _serves(url, path, text)
        (source / name).unlink()
    return served


def git_of_the_site_runs(field: Field) -> bool:
    """Hooks, fsmonitor and filters of a repository that the pane makes inside its site."""
    marker = field.loop.folder / "git-ran"
    git = field.own.source / ".git"
    (git / "hooks").mkdir(parents=True)
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    evil = f"sh -c 'touch {marker}; cat'"
    (git / "config").write_text(
        f'[core]\n\tfsmonitor = "{evil}"\n\thooksPath = hooks\n\tsshCommand = "{evil}"\n'
        f'[filter "x"]\n\tclean = "{evil}"\n\tsmudge = "{evil}"\n\tprocess = "{evil}"\n'
    )
    for name in ("pre-commit", "post-checkout", "post-index-change", "reference-transaction"):
        (git / "hooks" / name).write_text(f"#!/bin/sh\ntouch {marker}\n")
        (git / "hooks" / name).chmod(0o755)
    (field.own.source / ".gitattributes").write_text("* filter=x\n")
    field.loop.deploy(field.attacker, "with git")
    field.loop.run(field.attacker, to_step=5)
    return marker.exists()


def linked_tests_are_copied(field: Field) -> bool:
    tests = field.own.own_tests
    (tests / "test_link.py").symlink_to(field.loop.folder / "home" / ".aws" / "credentials")
    (tests / "deep").symlink_to(field.loop.folder / "home")
    with tempfile.TemporaryDirectory() as name:
        copied = copy_own_tests(tests, Path(name))
        return bool(copied.files) or any(Path(name).iterdir())


def linked_request_is_taken(field: Field) -> bool:
    outside = field.loop.folder / "home" / "request-linked.json"
    outside.write_text(json.dumps({"id": "request-linked", "verb": "deploy"}))
    (field.own.requests / "request-linked.json").symlink_to(outside)
    return field.answer("request-linked", 3) is not None or not outside.exists()


def foreign_session_is_deployed(field: Field) -> bool:
    deploys = field.loop.services.deploys
    before = len(deploys.deploys(field.victim)), len(deploys.deploys(field.sibling))
    victim = field.victim
    forged: list[dict[str, object]] = [
        {"user_id": victim.user_id, "session_id": victim.session_id},
        {"arguments": {"session": victim.session_id, "user_id": victim.user_id}},
        {"arguments": {"session_id": field.sibling.session_id, "skip_tests": True}},
    ]
    for number, more in enumerate(forged):
        name = f"foreign-deploy-{number}"
        field.ask(name, {"id": name, "verb": "rollback", **more})
    return before != (len(deploys.deploys(victim)), len(deploys.deploys(field.sibling)))


def foreign_run_is_shown(field: Field) -> bool:
    newest = field.loop.services.status.newest(field.victim)
    assert newest is not None
    asked = {"id": "foreign-status", "verb": "status",
             "arguments": {"execution_id": newest.execution_id}}  # fmt: skip
    answer = field.ask("foreign-status", asked)
    return answer is None or bool(answer["ok"]) or SITE in json.dumps(answer)


def forbidden_verb_is_done(field: Field) -> bool:
    verbs = ("destroy", "session send", "set_variable", "approve", "config", "__init__")
    for verb in verbs:
        name = f"forbidden-{uuid.uuid4().hex[:8]}"
        answer = field.ask(name, {"id": name, "verb": verb})
        if answer is None or answer["exit"] != 2:
            return True
    return False


def foreign_event_is_believed(field: Field) -> bool:
    """Events that name another session's Claude, in the attacker's own folder."""
    agents = field.loop.services.environment.store.agents
    before = agents.get(field.victim)
    for event in ("SessionStart", "UserPromptSubmit", "Stop"):
        field.tell(
            hook_event_name=event, session_id=before.claude_session_id, source="startup",
            transcript_path=str(field.own.claude_config / "x.jsonl"),
        )  # fmt: skip
    field.loop.until(
        lambda: not list(field.own.hooks.glob("[0-9]*.json")), "the events are taken", 20
    )
    return agents.get(field.victim) != before


def foreign_transcript_is_shown(field: Field) -> bool:
    """A transcript of somebody else, named by an event and by a link in the own folder."""
    config = field.loop.paths(field.victim).claude_config
    line = {"type": "user", "uuid": "u", "message": {"role": "user", "content": SECRET}}
    (config / "theirs.jsonl").write_text(json.dumps(line) + "\n")
    (field.own.claude_config / "linked.jsonl").symlink_to(config / "theirs.jsonl")
    agents = field.loop.services.environment.store.agents
    for path in (config / "theirs.jsonl", field.own.claude_config / "linked.jsonl"):
        field.tell(
            hook_event_name="SessionStart", source="startup", transcript_path=str(path),
            session_id=agents.get(field.attacker).claude_session_id,
        )  # fmt: skip
    field.loop.until(
        lambda: not list(field.own.hooks.glob("[0-9]*.json")), "the events are taken", 20
    )
    return SECRET in str(field.loop.services.chat.items(field.attacker))


def pipes_stop_the_worker(field: Field) -> bool:
    import os  # noqa: PLC0415 - one attack needs it

    for folder in (field.own.hooks, field.own.requests, field.own.source, field.own.own_tests):
        os.mkfifo(folder / "1795826214224000000-1.json")
    os.mkfifo(field.own.claude_config / "sessions.json")
    answer = field.ask("after-pipes", {"id": "after-pipes", "verb": "status"})
    return answer is None or not answer["ok"]


def edited_settings_are_started(field: Field) -> bool:
    """What a hole in the sandbox would leave behind: it must not be obeyed at the next start."""
    store, key = field.loop.services.environment.store, field.attacker
    field.loop.services.chat.stop(key, 30)
    settings = field.own.claude / "settings.json"
    before = settings.read_bytes()
    settings.write_bytes(before.replace(b"dontAsk", b"bypassPermissions"))
    (field.own.output / RESULTS).unlink(missing_ok=True)
    field.start(
        key, "open(__import__('os').environ['TMUX_BUILDER_SESSION_DIR'] + '/output/x', 'w')"
    )
    field.loop.until(
        lambda: "settings.json" in store.agents.get(key).evidence, "the refusal", 30
    )  # fmt: skip
    has_run = (field.own.output / "x").exists()
    settings.write_bytes(before)
    return has_run or store.agents.get(key).state is not AgentState.ENDED


ON_THE_PRODUCT: Mapping[str, Callable[[Field], bool]] = {
    check.__name__.replace("_", " "): check
    for check in (
        foreign_event_is_believed, foreign_transcript_is_shown, linked_request_is_taken,
        foreign_session_is_deployed, foreign_run_is_shown, forbidden_verb_is_done,
        links_are_published, git_of_the_site_runs, linked_tests_are_copied, pipes_stop_the_worker,
        edited_settings_are_started,
    )
}  # fmt: skip
"""In this order, in a field whose attacker and victim both run."""


def _serves(url: str, path: str, text: str) -> bool:
    try:
        return text.encode() in get(url, path)
    except (urllib.error.HTTPError, OSError):
        return False
