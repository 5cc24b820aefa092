"""Good and bad calls of every verb: exit code, one valid document, and the words for people."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from core.clock import wait_for
from core.paths import DataRoot
from tests.unit.cli_program import call, in_terminal, new_session

KEYS = ["schema", "command", "ok", "exit", "data", "error", "warnings"]
PERSON = ["--email", "ana@example.org", "--phone", "5550100199"]

CALLS = [
    ("", 2, None, "usage"),
    ("usr", 2, None, "usage"),
    ("user", 2, "user", "usage"),
    ("user lst", 2, "user", "usage"),
    ("user create", 2, "user create", "usage"),
    ("user create --email x --phone 5550100199 --no-start", 2, "user create", "invalid_email"),
    ("user create --email a@b.co --phone 1 --no-start", 2, "user create", "invalid_phone"),
    ("user create --email a@b.co --phone 5550100199 --no-start --host gcp", 2, "user create",
     "invalid_host_provider"),
    ("user create --email a@b.co --phone 5550100199 --no-start --site wiki", 2, "user create",
     "invalid_site_type"),
    ("user create --email a@b.co --phone 5550100199 --prompt a --prompt-file b", 2, "user create",
     "usage"),
    ("user create --email a@b.co --phone 5550100199 --prompt-file no/such", 3, "user create",
     "not_found"),
    ("user list", 0, "user list", None),
    ("user list --no-such", 2, "user list", "unknown_option"),
    ("user list --sort size", 2, "user list", "usage"),
    ("user list --limit many", 2, "user list", "usage"),
    ("user list --dry-run", 2, "user list", "usage"),
    ("user list --timeout 0", 2, "user list", "usage"),
    ("user list --timeout nan", 2, "user list", "usage"),
    ("user list --config no/such.toml", 8, "user list", "storage"),
    ("user show nobody@example.org", 3, "user show", "not_found"),
    ("session create nobody@example.org", 3, "session create", "not_found"),
    ("session list", 0, "session list", None),
    ("session list --state sad", 2, "session list", "invalid_state"),
    ("session list --since yesterday", 2, "session list", "usage"),
    ("session attach x", 2, "session attach", "usage"),
    ("session attach sess_1 --print-command", 3, "session attach", "not_found"),
    ("session send sess_1 hello", 3, "session send", "not_found"),
    ("session send sess_1", 2, "session send", "usage"),
    ("session send sess_1 a --answer 1", 2, "session send", "usage"),
    ("session send sess_1 --key f1", 2, "session send", "usage"),
    ("session send sess_1 a --wait=never", 2, "session send", "usage"),
    ("session command sess_1 /compact", 3, "session command", "not_found"),
    ("session logs sess_1", 3, "session logs", "not_found"),
    ("session logs sess_1 --follow", 2, "session logs", "usage"),
    ("session logs sess_1 --step 8", 2, "session logs", "usage"),
    ("session logs sess_1 --app", 3, "session logs", "not_found"),
    ("session logs sess_1 --app --chat", 2, "session logs", "usage"),
    ("session logs sess_1 --lines 5", 2, "session logs", "usage"),
    ("session logs sess_1 --app --lines 0", 2, "session logs", "usage"),
    ("session kill sess_1", 3, "session kill", "not_found"),
    ("session drift sess_1", 3, "session drift", "not_found"),
    ("session env", 2, "session env", "usage"),
    ("session env sett sess_1 A", 2, "session env", "usage"),
    ("session env set sess_1", 2, "session env set", "usage"),
    ("session env set sess_1 A value", 2, "session env set", "usage"),
    ("session env set sess_1 A", 3, "session env set", "not_found"),
    ("session env unset sess_1 A", 3, "session env unset", "not_found"),
    ("session env list sess_1", 3, "session env list", "not_found"),
    ("deploy sess_1", 3, "deploy", "not_found"),
    ("deploy", 2, "deploy", "usage"),
    ("deploy sess_1 --from 9", 2, "deploy", "usage"),
    ("deploy sess_1 --suffix x1", 3, "deploy", "not_found"),
    ("deploy sess_1 --max-delete -1", 2, "deploy", "usage"),
    ("rollback sess_1 --to 0", 2, "rollback", "usage"),
    ("rollback sess_1 --max-delete all", 2, "rollback", "usage"),
    ("destroy sess_1", 3, "destroy", "not_found"),
    ("status", 0, "status", None),
    ("status sess_1", 3, "status", "not_found"),
    ("status 7f3c9e01-5b1d-5c7e-9a43-2f6f0a6f11aa_sess_20260112_142233", 3, "status", "not_found"),
    ("check sess_1", 3, "check", "not_found"),
    ("screenshot sess_1", 3, "screenshot", "not_found"),
    ("test sess_1", 3, "test", "not_found"),
    ("test sess_1 --headed", 2, "test", "usage"),
    ("library list", 0, "library list", None),
    ("library list --kind hook", 2, "library list", "invalid_kind"),
    ("library validate", 0, "library validate", None),
    ("library validate no/such", 3, "library validate", "not_found"),
    ("library diff sess_1", 3, "library diff", "not_found"),
    ("library update sess_1", 3, "library update", "not_found"),
    ("library update sess_1 --all", 2, "library update", "usage"),
    ("library update --all", 0, "library update", None),
    ("doctor --for mars", 2, "doctor", "usage"),
    ("doctor --policy aws", 0, "doctor", None),
    ("doctor --policy azure", 0, "doctor", None),
    ("doctor --policy gcp", 2, "doctor", "usage"),
    ("demo --speed warp", 2, "demo", "invalid_speed"),
    ("serve sess_1", 3, "serve", "not_found"),
    ("serve api", 2, "serve", "usage"),
    ("serve --bind 0.0.0.0", 2, "serve", "usage"),
    ("config show --origin", 0, "config show", None),
    ("config get limits.runs", 0, "config get", None),
    ("config get limits.run", 2, "config get", "usage"),
    ("config set limits.runs many", 2, "config set", "usage"),
    ("config path", 0, "config path", None),
    ("completion bash", 0, "completion", None),
    ("completion tcsh", 2, "completion", "usage"),
    ("tui", 2, "tui", "usage"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "code", "command", "error"), CALLS, ids=str)
def test_each_call_answers_one_document(
    place: DataRoot, line: str, code: int, command: str | None, error: str | None
) -> None:
    ended = call(*line.split(), "--json")
    document = ended.document
    assert list(document) == KEYS
    assert (ended.code, document["exit"], document["command"]) == (code, code, command)
    assert document["schema"] == "tb/1"
    assert document["ok"] is (code == 0)
    if error is None:
        assert document["error"] is None
    else:
        assert list(document["error"]) == ["code", "message", "fix", "retryable"]
        assert document["error"]["code"] == error
        assert document["error"]["message"]
        assert document["error"]["fix"]
    assert "\x1b" not in ended.out + ended.err


@pytest.mark.parametrize(
    ("line", "nearest"),
    [("usr list", "user"), ("user lst", "list"), ("user list --sotr email", "--sort")],
)
def test_a_wrong_word_gets_the_nearest_right_one(line: str, nearest: str) -> None:
    ended = call(*line.split(" "))
    assert (ended.code, ended.out) == (2, "")
    assert "Did you mean" in ended.err
    assert nearest in ended.err
    assert len(ended.err.splitlines()) <= 3


def test_a_wrong_session_gets_the_nearest_right_one(place: DataRoot) -> None:
    _, session_id = new_session()
    ended = call("status", session_id[:-1] + ("0" if session_id[-1] != "0" else "1"))
    assert ended.code == 3
    assert session_id in ended.err


def test_common_flags_stand_before_or_after_the_verb(place: DataRoot) -> None:
    other = str(place.path.parent / "other")
    before = call("--json", "--data-dir", other, "user", "create", *PERSON, "--no-start")
    between = call("user", "--data-dir", other, "list", "--json")
    after = call("user", "list", "--json", "--data-dir", other)
    assert before.document["data"]["path"].startswith(other)
    assert between.document["data"] == after.document["data"]
    assert after.document["data"]["total"] == 1
    assert call("user", "list", "--json").document["data"]["total"] == 0


def test_the_same_person_is_the_same_user(place: DataRoot) -> None:
    first = call("user", "create", *PERSON, "--no-start", "--json").document["data"]
    again = call(
        "user", "create", "--email", " ANA@Example.org", "--phone", "555-010 (0199)",
        "--no-start", "--host", "aws", "--json",
    ).document  # fmt: skip
    assert (first["is_new"], again["data"]["is_new"]) == (True, False)
    assert first["user_id"] == again["data"]["user_id"]
    assert again["data"]["host_provider"] == "local"
    assert [one["code"] for one in again["warnings"]] == ["stored_kept"]
    assert set(first) == {
        "user_id", "is_new", "email", "phone", "host_provider", "site_type", "path", "session_id",
        "execution_id", "injected",
    }  # fmt: skip


def test_lists_have_a_table_records_and_a_document(place: DataRoot) -> None:
    user_id, session_id = new_session()
    table = call("session", "list").out.splitlines()
    assert table[0].split()[:2] == ["STATE", "SESSION"]
    assert session_id in table[1]
    plain = call("session", "list", "--plain").out.splitlines()
    assert [line.split("\t")[:3] for line in plain] == [[session_id, user_id, "ana@example.org"]]
    data = call("session", "list", "--json").document["data"]
    assert (data["total"], data["shown"]) == (1, 1)
    assert {
        "session_id", "user_id", "email", "host_provider", "site_type", "state", "needs", "step",
        "url", "updated_at", "cost", "tmux", "path",
    } <= set(data["sessions"][0])  # fmt: skip


def test_a_name_with_escape_sequences_reaches_no_terminal(place: DataRoot) -> None:
    ended = call("status", "\x1b]0;owned\x07\x1b[31mx")
    assert ended.code == 3
    assert "\x1b" not in ended.err + ended.out


def test_counts_and_the_bare_number_for_a_prompt(place: DataRoot) -> None:
    new_session()
    data = call("status", "--json").document["data"]
    assert data["total"] == 1
    assert list(data["counts"]) == [
        "needs_you", "failed", "working", "live", "idle", "parked", "ended",
    ]  # fmt: skip
    assert call("status", "-q").out == "0\n"


def test_a_session_without_a_run_has_no_status(place: DataRoot) -> None:
    new_session()
    ended = call("status", "ana@example.org", "--json")
    assert (ended.code, ended.document["error"]["fix"].split()[:2]) == (
        3, ["tmux-builder", "deploy"],
    )  # fmt: skip


def test_nothing_in_the_source_folder_is_exit_6(place: DataRoot) -> None:
    new_session()
    ended = call("deploy", "ana@example.org", "--json")
    assert (ended.code, ended.document["error"]["code"]) == (6, "empty_source")


def test_inside_its_folder_a_session_needs_no_name(place: DataRoot) -> None:
    user_id, session_id = new_session()
    folder = place.session(user_id, session_id).source
    ended = call("deploy", "--json", cwd=folder)
    assert ended.document["error"]["code"] == "empty_source"
    assert call("deploy", ".", "--json", cwd=folder).code == 6


def test_the_dry_run_of_a_deploy_shows_a_plan_and_changes_nothing(place: DataRoot) -> None:
    user_id, session_id = new_session()
    page = place.session(user_id, session_id).source / "index.html"
    page.write_text("<!doctype html><title>x</title>")
    ended = call("deploy", "-", "-n", "--json")
    assert ended.code == 0
    assert [row["kind"] for row in ended.document["data"]["plan"]] == ["local_site"]
    assert call("status", "-", "--json").code == 3
    nothing = call("destroy", "-", "-n", "--json").document["data"]
    assert nothing["plan"] == []


def test_a_suffix_is_refused_where_names_cannot_be_taken(place: DataRoot) -> None:
    user_id, session_id = new_session()
    page = place.session(user_id, session_id).source / "index.html"
    page.write_text("<!doctype html><title>x</title>")
    for flags in ([], ["-n"]):
        ended = call("deploy", "-", "--suffix", "x1", *flags, "--json")
        assert (ended.code, ended.document["error"]["code"]) == (2, "usage")


def test_a_static_site_has_no_variables_and_no_output(place: DataRoot) -> None:
    new_session()
    for words in (["env", "set", "-", "A"], ["env", "list", "-"], ["logs", "-", "--app"]):
        ended = call("session", *words, "--json", text="value")
        assert (ended.code, ended.document["error"]["code"]) == (2, "no_program")


def test_the_policy_goes_straight_into_a_file(place: DataRoot) -> None:
    ended = call("doctor", "--policy", "aws")
    assert json.loads(ended.out)["Version"] == "2012-10-17"
    assert ended.err == ""


def test_destroy_in_a_pipe_needs_the_name(place: DataRoot) -> None:
    new_session()
    for flags in ([], ["-y"], ["--confirm", "sess_20000101_000000"]):
        ended = call("destroy", "-", *flags, "--json")
        assert (ended.code, ended.document["error"]["code"]) == (9, "confirmation_needed")


def test_colour_follows_the_environment_and_the_flag(place: DataRoot) -> None:
    def coloured(*flags: str, **variables: str) -> bool:
        return "\x1b[" in call("doctor", *flags, environ=variables).out

    assert not coloured()
    assert coloured(FORCE_COLOR="1")
    assert coloured(FORCE_COLOR="1", NO_COLOR="")
    assert not coloured(FORCE_COLOR="1", NO_COLOR="1")
    assert not coloured(FORCE_COLOR="1", TMUX_BUILDER_NO_COLOR="1")
    assert not coloured("--no-color", FORCE_COLOR="1")


def test_a_reader_that_leaves_is_no_failure(place: DataRoot) -> None:
    line = (
        f"{sys.executable} -m tui.cli library list --why --plain | head -1; echo ${{PIPESTATUS[0]}}"
    )
    done = subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.splitlines()[-1] == "0"
    assert done.stderr == ""


def test_a_fault_of_ours_is_exit_1_and_its_trace_is_kept(place: DataRoot, tmp_path: Path) -> None:
    probe = (
        "import sys\nfrom tui.cli import main\nfrom tui.cli.call import Call\n"
        "Call.services = property(lambda self: 1 // 0)\n"
        "sys.argv[1:] = ['user', 'list', '--json']\nsys.exit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "XDG_STATE_HOME": str(tmp_path)},
    )  # fmt: skip
    log = tmp_path / "tmux-builder" / "faults.log"
    assert done.returncode == 1
    assert str(log) in json.loads(done.stdout)["error"]["message"]
    assert "ZeroDivisionError" in log.read_text()
    assert log.stat().st_mode & 0o077 == 0


def test_settings_are_changed_line_by_line(place: DataRoot) -> None:
    file = Path(call("config", "path").out.strip())
    file.parent.mkdir(parents=True, mode=0o700)
    file.write_text('# mine\nisolation = "off" # why\n[claude]\nmode = "supervised"\n[ui]\n')
    assert call("config", "set", "claude.park_after", "30m").code == 0
    assert call("config", "set", "limits.runs", "4").code == 0
    assert call("config", "set", "claude.mode", "unattended").code == 0
    text = file.read_text()
    assert text.startswith("# mine\n")
    assert text.count("[claude]") == 1
    rows = {
        row["key"]: (row["value"], row["origin"])
        for row in call("config", "show", "--json").document["data"]["settings"]
    }
    assert rows["claude.park_after"] == ("30m", str(file))
    assert rows["limits.runs"] == (4, str(file))
    assert rows["claude.mode"] == ("unattended", str(file))
    assert rows["isolation"] == ("off", str(file))
    assert rows["turn.repairs"] == (2, "default")


def test_the_report_names_no_customer(place: DataRoot) -> None:
    new_session()
    ended = call("report")
    assert ended.code == 0
    with zipfile.ZipFile(ended.out.strip()) as bundle:
        text = "".join(bundle.read(name).decode() for name in bundle.namelist())
    assert "ana@example.org" not in text
    assert "5550100199" not in text
    assert "VERSION" not in text
    assert '"counts"' in text


def test_without_a_terminal_the_bare_program_says_what_it_can(place: DataRoot) -> None:
    ended = call()
    assert (ended.code, ended.out) == (2, "")
    assert "usage: tmux-builder" in ended.err


def test_a_dumb_terminal_gets_plain_text(place: DataRoot) -> None:
    new_session()
    code, text = in_terminal([], TERM="dumb")
    assert code == 0
    assert "sess_" in text
    assert "\x1b" not in text


def test_a_person_is_asked_before_claude_is_ended(place: DataRoot) -> None:
    new_session()
    code, text = in_terminal(["session", "kill", "-"], after="[y/N]", keys=b"n\n")
    assert code == 0
    assert "Nothing was ended." in text


def test_sigterm_is_143_with_a_document(place: DataRoot) -> None:
    document = stopped_by(signal.SIGTERM)
    assert (document["exit"], document["error"]["code"]) == (143, "terminated")


def test_ctrl_c_is_130_and_says_what_goes_on(place: DataRoot) -> None:
    document = stopped_by(signal.SIGINT)
    assert document["exit"] == 130
    assert "goes on" in document["error"]["message"]


def stopped_by(number: signal.Signals) -> dict[str, Any]:
    """The document of a verb that a signal ended while it read its stdin."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tui.cli", "user", "create", *PERSON, "--prompt-file", "-",
         "--json", "--no-start"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    with process:
        stat = Path(f"/proc/{process.pid}/wchan")
        reads = wait_for(lambda: "pipe" in stat.read_text(), deadline_s=20)
        assert reads or not stat.exists()
        process.send_signal(number)
        out, _ = process.communicate(timeout=20)
    found = json.loads(out)
    assert process.returncode == found["exit"]
    assert isinstance(found, dict)
    return found
