"""Bad input and broken places: a sentence, an exit code, and nothing left behind."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from core.models.execution import Execution
from core.models.session import SessionKey
from core.models.states import ExecutionStatus
from tests.conftest import PINNED
from tests.contract.loop_kit import (
    BRIEF,
    PROGRAM,
    Answer,
    Loop,
    get,
    main_prompts,
    needs_claude,
    running_loop,
    site_turn,
    wish_turn,
)
from tmux_bridge.scripted_model import Reply, ScriptedModel, Turn
from tmux_bridge.scripted_model.script import Fault, FaultKind, When

ANA = ("--email", "ana@example.org", "--phone", "+15550100199")


@pytest.fixture(scope="module")
def loop() -> Iterator[Loop]:
    with running_loop() as loop:
        yield loop


@pytest.fixture(scope="module", autouse=True)
def limited(loop: Loop) -> Execution:
    """A run whose Claude tries for half a minute; begun first, so that nobody waits for it."""
    limit = Fault(kind=FaultKind.STATUS, status=429, retry_after_s=1, times=7)
    reply = Reply(text="It works.", fault=limit)
    model = loop.model(Turn(name="limit", when=When(text="bread"), replies=(reply,)))
    return loop.services.deploys.get(loop.start(loop.session(model), from_step=1, to_step=5))


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """Two runs whose Claudes show a question instead of starting."""

    place: Loop
    model: ScriptedModel
    answered: Execution
    ended: Execution


@pytest.fixture(scope="module", autouse=True)
def asking() -> Iterator[Asking]:
    """A program that asks and becomes the real Claude at any key; begun first likewise.

    Without isolation, in which it would not find the real one.
    """
    with running_loop(TMUX_BUILDER_ISOLATION="off") as place:
        fake = place.folder / "fake" / "claude"
        fake.parent.mkdir()
        fake.write_text(
            '#!/bin/sh\n[ "$1" = --version ] && { echo "2.1.330 (Claude Code)"; exit 0; }\n'
            'echo "Do you trust the files in this folder?"; echo "1. Yes, I do"\n'
            "stty -icanon -echo; dd bs=1 count=1 >/dev/null 2>&1; stty sane\n"
            f'exec "{PINNED / "claude"}" "$@"\n'
        )
        fake.chmod(0o755)
        path = {"PATH": f"{fake.parent}{os.pathsep}{place.environ['PATH']}"}
        model = place.model()
        runs = []
        for _ in range(2):
            key = place.session(model)
            begin = ("deploy", key.session_id, "--from", "1", "--to", "5", "--no-wait")
            execution_id = place.cli(*begin, environ=path).last_line
            runs.append(place.services.deploys.get(execution_id))
        yield Asking(place=place, model=model, answered=runs[0], ended=runs[1])


def users_on_disk(loop: Loop) -> list[str]:
    return sorted(path.name for path in loop.root.path.iterdir() if path.is_dir())


def refused(answer: Answer, exit_code: int) -> dict[str, str]:
    """The error of a refused call: a sentence and what to do."""
    document = answer.document
    assert (answer.exit, document["ok"]) == (exit_code, False), answer
    error: dict[str, str] = document["error"]
    assert len(error["message"]) > 10
    assert error["fix"]
    return error


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--email", "ana@", "--phone", "+15550100199"), "invalid_email"),
        (("--email", "ana@example.org; rm -rf /", "--phone", "+15550100199"), "invalid_email"),
        (("--email", "ana@example.org", "--phone", "12"), "invalid_phone"),
        (("--email", "ana@example.org", "--phone", "+1 555 $(id)"), "invalid_phone"),
        ((*ANA, "--host", "gcp"), None),
        ((*ANA, "--site", "wordpress"), None),
        ((*ANA, "--prompt", " "), None),
        ((*ANA, "--nonsense"), "unknown_option"),
    ],
)
def test_a_bad_user_is_refused_and_nothing_is_written(
    arguments: tuple[str, ...], code: str | None
) -> None:
    with running_loop() as fresh:
        error = refused(fresh.cli("user", "create", *arguments, "--json"), 2)
        assert code in {None, error["code"]}
        assert users_on_disk(fresh) == []
        assert fresh.services.users.list().total == 0
        assert fresh.worker_pid() is None


def test_unknown_names_are_not_found_and_the_nearest_one_is_told(loop: Loop) -> None:
    key = loop.session()
    user = refused(loop.cli("user", "show", "anna@example.org", "--json"), 3)
    assert "ana@example.org" in user["fix"]
    near = f"{key.session_id[:-2]}99"
    known = [row.key.session_id for row in loop.services.sessions.rows()]
    for verb in ("deploy", "status", "check", "rollback", "destroy"):
        fix = refused(loop.cli(verb, near, "--json"), 3)["fix"]
        assert any(name in fix for name in known)
    assert (
        "ana@example.org"
        in refused(loop.cli("session", "create", "ana@example", "--json"), 3)["fix"]
    )


def test_an_empty_source_is_nothing_to_deploy(loop: Loop) -> None:
    key = loop.session()
    error = refused(loop.cli("deploy", key.session_id, "--json"), 6)
    assert "index.html" in error["message"]
    assert loop.services.status.newest(key) is None


def test_several_creates_of_one_person_at_once_make_one_user(loop: Loop) -> None:
    calls = [
        loop.spawn("user", "create", "--email", email, "--phone", "555 010 0300", "--no-start",
                   "--json")
        for email in ("Eve@example.org", "eve@example.org ", "EVE@EXAMPLE.ORG")
    ]  # fmt: skip
    said = [json.loads(call.communicate(timeout=60)[0]) for call in calls]
    assert [one["exit"] for one in said] == [0, 0, 0]
    assert len({one["data"]["user_id"] for one in said}) == 1
    assert sorted(one["data"]["is_new"] for one in said) == [False, False, True]


def test_a_link_out_of_the_site_is_refused_and_what_is_served_stays(loop: Loop) -> None:
    key = loop.session()
    source = loop.paths(key).source
    (source / ".env").write_text("TOKEN=1")
    url = str(loop.deploy(key).result["url"])
    secret = loop.folder / "secret.txt"
    secret.write_text("not for the net")
    for name, target in (("secret.txt", secret), ("etc", Path("/etc"))):
        (source / name).symlink_to(target)
        answer = loop.cli("deploy", key.session_id, "--to", "5", "--json")
        assert name in refused(answer, 6)["message"]
        (source / name).unlink()
    assert b"Fresh bread" in get(url)
    for path in ("/secret.txt", "/etc/hostname", "/.env"):
        with pytest.raises(OSError, match="404"):
            get(url, path)
    answer = loop.cli("deploy", key.session_id, "--to", "5", "--json")
    assert (answer.exit, answer.document["data"]["files"]["changed"]) == (0, 0)
    assert [one["code"] for one in answer.document["warnings"]] == ["left_out"]


def test_a_corrupt_config_is_only_a_view_and_is_written_again(loop: Loop) -> None:
    key = loop.session()
    loop.deploy(key)
    config = loop.paths(key).config
    whole = json.loads(config.read_text())
    assert whole["deploy_count"] == 1
    config.write_text('{"deploy_count": 99, "url"')
    loop.kill_worker()
    loop.wake()

    def is_mended() -> bool:
        try:
            return bool(json.loads(config.read_text()) == whole)
        except ValueError:
            return False

    loop.until(is_mended, "a whole config.json")
    config.write_bytes(b"")
    loop.deploy(key, "Second bread")
    assert json.loads(config.read_text())["deploy_count"] == 2


def test_a_data_root_that_cannot_be_used_is_said_in_a_sentence(loop: Loop) -> None:
    place = loop.folder / "other"
    place.write_text("a file")
    create = ("user", "create", *ANA, "--no-start", "--json", "--data-dir", str(place))
    assert str(place) in refused(loop.cli(*create), 8)["message"]
    assert place.read_text() == "a file"
    place.unlink()
    place.mkdir(mode=0o755)
    place.chmod(0o755)
    error = refused(loop.cli(*create), 8)
    assert error["fix"] == f"chmod 700 {place}"
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("options", ["ro", "size=64k"])
def test_a_read_only_or_full_data_root_leaves_nothing_behind(loop: Loop, options: str) -> None:
    place = loop.folder / "mounted"
    place.mkdir(mode=0o700, exist_ok=True)
    program = f'"{PROGRAM}" user create --email a@b.io --phone 5550100400 --no-start --json'
    commands = (
        f"mount -t tmpfs -o mode=700,{options} none {place} || exit 99; "
        f"{program} --data-dir {place}; code=$?; find {place} -type d >&2; exit $code"
    )
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", commands], check=False, capture_output=True, text=True,
        env=loop.environ, timeout=60, cwd=loop.folder,
    )  # fmt: skip
    if done.returncode == 99 or "unshare:" in done.stderr:
        pytest.skip("this account cannot mount")
    error = refused(Answer(exit=done.returncode, out=done.stdout, err=done.stderr), 8)
    assert str(place) in error["message"]
    assert error["code"] != "unexpected"
    assert [line for line in done.stderr.splitlines() if line.startswith(str(place))] == [
        str(place)
    ]


def programs_without(loop: Loop, *left_out: str) -> str:
    """A PATH with every program of this computer but some."""
    folder = loop.folder / f"bin-{'-'.join(left_out)}"
    folder.mkdir()
    for place in loop.environ["PATH"].split(os.pathsep):
        for entry in os.scandir(place) if Path(place).is_dir() else ():
            if entry.name not in left_out and not os.path.lexists(folder / entry.name):
                (folder / entry.name).symlink_to(entry.path)
    return str(folder)


@pytest.fixture
def bare() -> Iterator[Loop]:
    """A place whose worker does not run yet, for a test that changes the PATH."""
    with running_loop() as loop:
        yield loop


def test_a_missing_tmux_is_said_with_the_remedy(bare: Loop) -> None:
    key = bare.session(bare.model())
    path = programs_without(bare, "tmux")
    answer = bare.cli("deploy", key.session_id, "--from", "1", "--json", environ={"PATH": path})
    error = refused(answer, 8)
    assert "tmux" in error["message"]
    assert "install" in error["fix"]


def test_a_tmux_that_is_too_old_is_said_with_the_remedy(bare: Loop) -> None:
    key = bare.session(bare.model())
    old = bare.folder / "old"
    old.mkdir()
    (old / "tmux").write_text('#!/bin/sh\necho "tmux 2.9"\n')
    (old / "tmux").chmod(0o755)
    path = f"{old}{os.pathsep}{bare.environ['PATH']}"
    answer = bare.cli("deploy", key.session_id, "--from", "1", "--json", environ={"PATH": path})
    error = refused(answer, 8)
    assert (error["code"], "2.9" in error["message"]) == ("tmux_too_old", True)


def test_a_missing_claude_is_said_with_the_remedy(bare: Loop) -> None:
    key = bare.session(bare.model())
    path = {"TMUX_BUILDER_CLAUDE_COMMAND": "no-such-claude"}
    error = refused(bare.cli("deploy", key.session_id, "--from", "1", "--json", environ=path), 8)
    assert "claude" in error["message"].lower()
    for wait in ((), ("--wait",)):
        sent = bare.cli("session", "send", key.session_id, "hello", *wait, "--json", environ=path)
        error = refused(sent, 8)
        assert (error["code"], "no-such-claude" in error["message"]) == ("missing", True)


def test_without_a_chromium_two_steps_are_skipped_and_the_run_is_good(bare: Loop) -> None:
    key = bare.session()
    bare.put_page(key)
    path = programs_without(bare, "chromium", "chromium-browser", "google-chrome")
    environ = {"PATH": path, "TMUX_BUILDER_CHROMIUM": str(bare.folder / "no-browser")}
    answer = bare.cli("deploy", key.session_id, environ=environ)
    assert answer.exit == 0, answer
    assert answer.out.splitlines()[0] == "ok, 2 skipped"
    assert answer.last_line.startswith("http://127.0.0.1:")
    run = bare.services.status.newest(key)
    assert run is not None
    skipped = [bare.step(run.execution_id, n) for n in (6, 7)]
    assert [step.state for step in skipped] == ["skipped"] * 2
    assert all("chromium" in str(step.detail) for step in skipped)


def needs_you(place: Loop, key: SessionKey) -> None:
    """Wait until the session shows that Claude asks."""

    def asks() -> bool:
        row = place.services.sessions.row(key)
        return row.state == "needs_you" and "Do you trust" in str(row.agent.question)

    place.until(asks, "a session that needs you", 40)


@pytest.mark.usefixtures("loop")
class TestClaude:
    """A real Claude that cannot work, and events that nobody can read."""

    pytestmark = needs_claude

    def test_a_claude_without_a_login_is_said_and_the_run_ends(self, bare: Loop) -> None:
        user = bare.services.users.create("ana@example.org", "+15550100199", start=False).user
        # Nothing listens there, so that whatever is sent leaves this computer in no case.
        made = bare.services.sessions.create(user.user_id, prompt="A site", start=False)
        nowhere = {"ANTHROPIC_BASE_URL": "http://127.0.0.1:9"}
        key = made.session.key
        answer = bare.cli("deploy", key.session_id, "--from", "1", "--json", environ=nowhere)
        error = refused(answer, 4)
        assert "not logged in" in error["message"]

    def test_a_rate_limit_is_said_and_a_later_wish_works(
        self, loop: Loop, limited: Execution
    ) -> None:
        run = loop.wait(limited.execution_id)
        assert run.status is ExecutionStatus.FAILED
        assert "rate-limited" in str(run.error)
        assert int(loop.services.status.exit_code(run.execution_id)) == 12
        assert loop.ask(run.key, "Hello again") == "It works."

    def test_a_claude_that_asks_first_needs_you_and_its_run_waits(self, asking: Asking) -> None:
        place, key = asking.place, asking.ended.key
        needs_you(place, key)
        status = place.cli("status", asking.ended.execution_id, "--json").document["data"]
        assert (status["status"], status["current_step"]) == ("running", 3)
        listed = place.cli("session", "list", "--json").document["data"]["sessions"]
        assert {row["needs"] for row in listed if row["session_id"] == key.session_id} == {"login"}
        sent = refused(place.cli("session", "send", key.session_id, "hi", "--json"), 5)
        assert sent["code"] == "needs_you"
        killed = place.cli("session", "kill", key.session_id, "-y", "--json")
        assert (killed.exit, killed.document["data"]["state"]) == (0, "ended")
        ended = place.cli("status", asking.ended.execution_id, "--watch", "--json")
        assert "stopped by the operator" in refused(ended, 6)["message"]

    def test_an_answered_first_question_lets_the_run_go_on_by_itself(self, asking: Asking) -> None:
        place, run = asking.place, asking.answered
        needs_you(place, run.key)
        assert main_prompts(asking.model, BRIEF) == []
        answer = place.cli("session", "send", run.key.session_id, "--answer", "1", "--json")
        assert answer.exit == 0, answer
        assert place.wait(run.execution_id).status is ExecutionStatus.COMPLETED, place.told(
            run.execution_id
        )
        assert len(main_prompts(asking.model, BRIEF)) == 1

    def test_hook_events_that_cannot_be_read_hold_nothing_up(self, loop: Loop) -> None:
        model = loop.model(site_turn(), wish_turn("again"))
        key = loop.session(model)
        loop.ask(key, "A site")
        hooks = loop.paths(key).hooks
        now = int(loop.services.environment.clock.now().timestamp() * 1e9)
        (hooks / f"{now}-1.json").write_text('{"hook_event_name": "Stop", "sess')
        (hooks / f"{now}-2.json").write_bytes(b"\xff\x00" * 1000)
        (hooks / f"{now}-3.json").symlink_to("/etc/passwd")
        (hooks / f"{now}-4.json").write_bytes(b" " * 9_000_000)
        (hooks / f"{now}-5.json").mkdir()
        (hooks / f"{now + 10**15}-6.json").write_text("{}")
        os.mkfifo(hooks / f"{now}-7.json")
        assert loop.ask(key, "and again") == "Done."
        left = [path.name for path in hooks.iterdir() if not path.name.startswith(".")]
        assert left == []
