"""One whole life of a product that holds planted secrets: wishes, deploys, faults, and a search."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from core.models.session import SessionKey
from core.models.states import ExecutionStatus
from tests.contract.loop_kit import BRIEF, Loop, running_loop, script, site_turn, wish_turn, write
from tests.contract.secrets_kit import (
    ECHO_WORD,
    FAIL_WORD,
    EchoingApi,
    Sampler,
    Secrets,
    echoing_cloud,
    found_in_files,
    found_in_text,
    found_in_tmux,
    new_secrets,
    plant,
)
from tmux_bridge.scripted_model import ScriptedModel

APP = """
import http.server, os, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"<!doctype html><html lang=en><title>t</title>" + b"<p>It runs</p>" * 20
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_arguments):
        pass
print("starting with", len(os.environ.get("API_KEY", "")), "letters", flush=True)
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
STORED, IN_ENVIRONMENT = "stored token", "environment"


@dataclass
class Life:
    """What was found, and the proof that each part really happened."""

    found: list[str] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    holders: set[str] = field(default_factory=set)
    failed: list[str] = field(default_factory=list)
    """Codes of what was made to fail."""


def live(kind: str, after: Callable[[Loop, Secrets], None] = lambda _loop, _planted: None) -> Life:
    """Run everything once, with Claude's token in the environment or in the stored file.

    Args:
        after: Called before the search, while everything runs.
    """
    planted = new_secrets("sk-ant-api03" if kind == IN_ENVIRONMENT else "sk-ant-oat01")
    model = ScriptedModel(script(site_turn(), wish_turn("blue", write("source/a.html", "<p>a"))))
    upstream = model.start()
    life = Life()
    api = EchoingApi(upstream, planted.token)
    try:
        with (
            api.running(),
            echoing_cloud(planted) as cloud,
            running_loop(ANTHROPIC_BASE_URL=api.url, AWS_ENDPOINT_URL=cloud) as loop,
        ):
            _live_in(loop, planted, life, kind, after)
    finally:
        model.stop()
    life.keys = api.keys
    return life


def _live_in(
    loop: Loop, planted: Secrets, life: Life, kind: str, after: Callable[[Loop, Secrets], None]
) -> None:
    environ = plant(planted, loop.folder / "home")
    if kind == IN_ENVIRONMENT:
        environ["ANTHROPIC_API_KEY"] = planted.token.value
    loop.environ.update(environ)
    sampler = Sampler(planted)
    sampler.start()
    said: list[str] = []
    try:
        if kind == STORED:
            said.append(_said(loop, "login", "--json", text=planted.token.value))
        said.append(_said(loop, "worker"))
        site = _site(loop, life)
        _program(loop, planted, said)
        _cloud(loop, life)
        said += _texts(loop, site)
        after(loop, planted)
        life.found += found_in_tmux(planted, loop.runtime)
    finally:
        sampler.stop()
    life.holders = sampler.token_holders
    life.found += sorted(sampler.found)
    life.found += found_in_text(planted, "what a verb said", "\n".join([*said, *life.failed]))
    life.found += found_in_files(planted, loop.folder, _allowed(loop))


def _site(loop: Loop, life: Life) -> SessionKey:
    """A site by the real Claude, a wish, and a wish that ends in a refusal of its key."""
    user = loop.services.users.create("ana@example.org", "+15550100199", start=False).user
    key = loop.services.sessions.create(user.user_id, prompt=BRIEF, start=False).session.key
    run = loop.run(key, from_step=1)
    assert run.status is ExecutionStatus.COMPLETED
    loop.ask(key, "Make it blue")
    for word in (ECHO_WORD, FAIL_WORD):
        said = _said(loop, "session", "send", key.session_id, word, "--wait", "--json")
        life.failed.append(said)
    return key


def _program(loop: Loop, planted: Secrets, said: list[str]) -> None:
    """A dynamic site whose program gets a variable, and prints it."""
    user = loop.services.users.create("bo@example.org", "+15550100200", start=False).user
    made = loop.services.sessions.create(user.user_id, site_type="dynamic", start=False)
    key = made.session.key
    source = loop.paths(key).source
    (source / "app.py").write_text(APP)
    (source / "Procfile").write_text("web: exec python3 app.py\n")
    text = planted.variable.value
    said.append(_said(loop, "session", "env", "set", key.session_id, "API_KEY", text=text))
    loop.run(key, from_step=4, to_step=5)
    said.append(_said(loop, "session", "env", "list", key.session_id, "--json"))
    said.append(_said(loop, "session", "logs", key.session_id, "--app", "--json"))


def _cloud(loop: Loop, life: Life) -> None:
    """A deploy to a cloud that refuses it and repeats every secret it knows."""
    user = loop.services.users.create("cy@example.org", "+15550100201", start=False).user
    made = loop.services.sessions.create(user.user_id, host_provider="aws", start=False)
    loop.put_page(made.session.key)
    run = loop.wait(loop.start(made.session.key, from_step=4, to_step=5))
    assert run.status is ExecutionStatus.FAILED
    life.failed.append(f"{run.error_code}: {run.error}")


def _texts(loop: Loop, key: SessionKey) -> list[str]:
    """Everything that an operator would look at."""
    name = key.session_id
    return [
        _said(loop, *words)
        for words in (
            ("status", name, "--json", "-v"), ("session", "list", "--json"),
            ("session", "logs", name, "--json", "-v"), ("config", "show", "--json"),
            ("doctor", "--json"), ("doctor", "--for", "claude"), ("login", "--status", "--json"),
            ("library", "list", "--json"), ("report", "--json"),
            ("check", name, "--url", "https://site.invalid/", "--json"),
        )
    ]  # fmt: skip


def _said(loop: Loop, *words: str, text: str = "") -> str:
    answer = loop.cli(*words, text=text)
    return f"{answer.out}\n{answer.err}"


def _allowed(loop: Loop) -> frozenset[Path]:
    """Where each secret was put, where a site's variables live, and what Claude itself noted."""
    home = loop.folder / "home"
    places = {home / ".aws" / "credentials", home / ".config" / "tmux-builder" / "claude-token"}
    places |= set(loop.root.path.glob("*/secrets/*.json"))
    return frozenset(places)
