"""A running product for the end-to-end tests: real worker, tmux, Claude CLI, local host, browser.

Only the model is scripted, by a server in the test's own process, so that a test can read what
Claude was really told. Everything runs in a data root of its own and is ended by `close`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest

from core.clock import wait_for
from core.models.execution import Execution, StepRecord
from core.models.release import MARKER_PATH
from core.models.session import SessionKey
from core.models.states import ExecutionStatus, StepState
from core.paths import CHECKOUT, DataRoot, RuntimePaths, SessionPaths
from core.sandbox import has_bubblewrap
from core.services.services import Services
from tests.conftest import FOREIGN, PINNED, end_everything
from tmux_bridge.launcher import holder
from tmux_bridge.scripted_model import Reply, RequestRecord, Script, ScriptedModel, Turn
from tmux_bridge.scripted_model.script import Call, Pace, When
from tui.wiring import build_services

PROGRAM = CHECKOUT / ".venv" / "bin" / "tmux-builder"
BRIEF = "A small site about bread."
READY = "The site is ready."
RUN_S = 120.0
T = TypeVar("T")

needs_claude = [
    pytest.mark.claude,
    pytest.mark.tmux,
    pytest.mark.skipif(not (PINNED / "claude").exists(), reason="no Claude CLI: make test"),
    pytest.mark.skipif(not has_bubblewrap(), reason="bubblewrap cannot make a sandbox here"),
]


def page(text: str, title: str = "Bread") -> str:
    """A page in which the built-in suite finds no fault."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"></head>'
        f"<body><main><h1>{text}</h1><p>Flour, water, salt and a day and a half.</p></main></body>"
        "</html>\n"
    )


def write(path: str, content: str) -> Call:
    return Call(name="Write", input={"file_path": f"{{folder}}/{path}", "content": content})


def bash(command: str) -> Call:
    return Call(name="Bash", input={"command": command, "description": "Look", "timeout": 120_000})


def site_turn(text: str = "Fresh bread", *calls: Call, delay_s: float = 0.0) -> Turn:
    """The first wish of a conversation: one page, whatever else, and a last word."""
    made = write("source/index.html", page(text))
    first = Reply(text="A page.", calls=(made, *calls), pace=Pace(delay_s=delay_s))
    return Turn(name="site", when=When(not_called="Write|Edit"), replies=(first, Reply(text=READY)))


def wish_turn(pattern: str, *calls: Call, said: str = "Done.") -> Turn:
    """A later wish by its words: some calls, one after the other, and a last word."""
    steps = tuple(Reply(text="Now.", calls=(call,)) for call in calls)
    return Turn(
        name=pattern, when=When(text=pattern, called="Write|Edit"),
        replies=(*steps, Reply(text=said)),
    )  # fmt: skip


def script(*turns: Turn) -> Script:
    return Script(name="loop", turns=turns or (site_turn(),))


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """How a call of the installed program ended."""

    exit: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.out)
        assert document["exit"] == self.exit, self
        return document

    @property
    def last_line(self) -> str:
        return self.out.rstrip("\n").rpartition("\n")[2]


@dataclass
class Loop:
    """One data root with everything that runs for it."""

    folder: Path
    environ: dict[str, str]
    services: Services = field(init=False)
    models: list[ScriptedModel] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.services = build_services(None, None, self.environ)

    @property
    def root(self) -> DataRoot:
        return self.services.environment.root

    @property
    def runtime(self) -> RuntimePaths:
        return self.services.environment.runtime

    def model(self, *turns: Turn) -> ScriptedModel:
        model = ScriptedModel(script(*turns))
        model.start()
        self.models.append(model)
        return model

    def session(self, model: ScriptedModel | None = None, **wishes: Any) -> SessionKey:
        """A session of one customer; nothing of it is started."""
        user = self.services.users.create("ana@example.org", "+15550100199", start=False).user
        created = self.services.sessions.create(
            user.user_id, prompt=BRIEF, start=False, simulated=True,
            model_url=None if model is None else model.url, **wishes,
        )  # fmt: skip
        return created.session.key

    def paths(self, key: SessionKey) -> SessionPaths:
        return self.root.session(key.user_id, key.session_id)

    def put_page(self, key: SessionKey, text: str = "Fresh bread") -> None:
        (self.paths(key).source / "index.html").write_text(page(text))

    def start(self, key: SessionKey, **steps: Any) -> str:
        return self.services.deploys.start(key, **steps).execution_id

    def wait(self, execution_id: str, deadline_s: float = RUN_S) -> Execution:
        return self.services.deploys.wait(execution_id, deadline_s)

    def run(self, key: SessionKey, **steps: Any) -> Execution:
        """A run to its good end."""
        execution = self.wait(self.start(key, **steps))
        assert execution.status is ExecutionStatus.COMPLETED, self.told(execution.execution_id)
        return execution

    def deploy(self, key: SessionKey, text: str = "Fresh bread") -> Execution:
        """A page by hand, put on the net, without a Claude and without a browser."""
        self.put_page(key, text)
        return self.run(key, to_step=5)

    def step(self, execution_id: str, n: int) -> StepRecord:
        return self.services.deploys.steps(execution_id)[n - 1]

    def wait_step(self, execution_id: str, n: int, state: StepState = StepState.RUNNING) -> None:
        """Return at the instant at which a step is seen in that state."""
        self.until(
            lambda: self.step(execution_id, n).state is state, f"step {n} {state}", RUN_S, 0.002
        )

    def told(self, execution_id: str) -> str:
        """What the run's rows and the worker's log say, for a test that fails."""
        steps = "\n".join(str(step) for step in self.services.deploys.steps(execution_id))
        execution = self.services.deploys.get(execution_id)
        return f"{execution}\n{steps}\n{self.worker_log()}"

    def worker_log(self) -> str:
        try:
            return self.runtime.worker_log.read_text()[-4000:]
        except OSError:
            return "no worker log"

    def until(
        self, probe: Callable[[], T | None], what: str, deadline_s: float = 30.0,
        interval_s: float = 0.05,
    ) -> T:  # fmt: skip
        answer = wait_for(probe, deadline_s=deadline_s, interval_s=interval_s)
        assert answer, f"never true: {what}\n{self.worker_log()}"
        return answer

    def ask(self, key: SessionKey, text: str) -> str:
        """One wish to the end of its turn; Claude's last words."""
        prompt = self.services.chat.send(key, text)
        return self.services.chat.wait_reply(prompt.prompt_id, 60).message or ""

    def worker_pid(self) -> int | None:
        return holder(self.runtime.worker_lock)

    def host_pid(self) -> int | None:
        return holder(self.runtime.host_lock)

    def kill_worker(self) -> int:
        """kill -9, as a crash does; returns when it is gone."""
        pid = self.worker_pid()
        assert pid is not None, self.worker_log()
        os.kill(pid, signal.SIGKILL)
        self.until(lambda: self.worker_pid() != pid, "the worker's end")
        return pid

    def wake(self) -> int:
        return self.services.environment.worker.ensure_running()

    def cli(
        self, *arguments: str, environ: Mapping[str, str] | None = None, cwd: Path | None = None,
        timeout_s: float = RUN_S, text: str | None = None,
    ) -> Answer:  # fmt: skip
        """The installed program as a user without a terminal calls it."""
        done = subprocess.run(
            [str(PROGRAM), *arguments], check=False, capture_output=True, text=True,
            timeout=timeout_s, env={**self.environ, **(environ or {})}, cwd=cwd or self.folder,
            input=text or "",
        )  # fmt: skip
        return Answer(exit=done.returncode, out=done.stdout, err=done.stderr)

    def spawn(self, *arguments: str) -> subprocess.Popen[str]:
        """The installed program, running beside the test, which waits for its end."""
        return subprocess.Popen(
            [str(PROGRAM), *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, env=self.environ, cwd=self.folder,
        )  # fmt: skip

    def close(self) -> None:
        end_everything(self.runtime)
        for model in self.models:
            model.stop()
        self.services.environment.store.close()


@contextmanager
def running_loop(**environ: str) -> Iterator[Loop]:
    """A data root of its own, below a short folder; `environ` is added to a clean environment."""
    with tempfile.TemporaryDirectory(prefix="tbl-", dir="/tmp", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        clean = {k: v for k, v in os.environ.items() if not k.startswith(FOREIGN)}
        places = {
            "HOME": str(folder / "home"),
            "PATH": f"{PINNED}{os.pathsep}{os.environ['PATH']}",
            "TMUX_BUILDER_RUNTIME_DIR": str(folder / "run"),
            "TMUX_BUILDER_DATA_DIR": str(folder / "users"),
        }
        (folder / "home").mkdir()
        with pytest.MonkeyPatch.context() as patch:
            # The worker takes over the environment of whoever starts it.
            for key in set(os.environ) - set(clean):
                patch.delenv(key)
            for key, value in (places | environ).items():
                patch.setenv(key, value)
            loop = Loop(folder, {**clean, **places, **environ})
            try:
                yield loop
            finally:
                loop.close()


def get(url: str, path: str = "/", timeout_s: float = 5.0) -> bytes:
    """What answers there; an error of HTTP or of the network is raised."""
    with urllib.request.urlopen(f"{url.rstrip('/')}{path}", timeout=timeout_s) as answer:
        content: bytes = answer.read()
        return content


def answers(url: str, path: str = "/") -> bool:
    try:
        get(url, path)
    except (OSError, urllib.error.URLError):
        return False
    return True


def marker(url: str) -> str:
    return get(url, f"/{MARKER_PATH}").decode().strip()


def main_prompts(model: ScriptedModel, text: str) -> list[RequestRecord]:
    """Requests of Claude's loop that bring this prompt for the first time, without tool results."""
    return [
        one for one in model.requests
        if one.kind == "main" and text in one.text and not one.tool_results
    ]  # fmt: skip


def tool_results(model: ScriptedModel) -> str:
    """What Claude's tools have answered, in order, as text."""
    return "\n".join(_plain(raw) for one in model.requests for raw in one.tool_results)


def _plain(raw: str) -> str:
    said = json.loads(raw)
    if isinstance(said, str):
        return said
    return "\n".join(str(block.get("text", "")) for block in said)


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far (proc(5), fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def children(pid: int) -> list[int]:
    """The pids whose parent is `pid`, by /proc."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(stat.parent.name))
    return found


def rest(seconds: float) -> None:
    """Let the clock run where time itself is what is measured."""
    time.sleep(seconds)
