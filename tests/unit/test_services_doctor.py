from __future__ import annotations

import threading
from pathlib import Path

import pytest

from core.config import load_settings
from core.errors import MissingProgramError, UsageError
from core.login import store_login
from core.services.doctor import CheckState, DoctorCheck, DoctorReport, Finding, Probe
from tests.unit.services_place import Place, make_place

IDS = {
    "python", "tmux.bin", "tmux.server", "term", "term.nested", "data", "bubblewrap", "network",
    "claude.bin",
    "claude.login", "chromium", "clock", "library", "aws.lib", "aws.profile", "aws.region",
    "aws.reach", "aws.login", "aws.rights", "azure.lib", "azure.reach", "azure.login", "azure.sub",
    "azure.location", "azure.providers",
}  # fmt: skip


def found(state: str, text: str = "x") -> Probe:
    is_fault = state in {"fail", "warn"}
    finding = Finding(
        state=CheckState(state), found=text, need="n" if is_fault else None,
        fix="f" if is_fault else None,
    )  # fmt: skip
    return lambda: finding


WELL = {
    name: found("ok")
    for name in ("tmux.bin", "tmux.server", "bubblewrap", "claude.bin", "claude.login", "chromium")
}


def script(folder: Path, name: str, text: str) -> None:
    """A program of that name in a folder that can be a PATH."""
    file = folder / name
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)


def check_of(report: DoctorReport, name: str) -> DoctorCheck:
    return next(check for check in report.checks if check.id == name)


def test_every_promised_check_is_made_and_each_fault_has_a_fix(tmp_path: Path) -> None:
    place = make_place(tmp_path, environ={"HOME": str(tmp_path), "PATH": str(tmp_path)})
    report = place.services.doctor.run({"local"})

    assert {check.id for check in report.checks} == IDS
    assert set(report.ready) == {"demo", "local", "aws", "azure", "claude"}
    faults = [check for check in report.checks if check.state in {"fail", "warn"}]
    assert all(check.need and check.fix for check in faults)
    assert all(check.ms >= 0 for check in report.checks)


def test_a_well_computer_is_ready_for_what_needs_no_account(tmp_path: Path) -> None:
    place = make_place(tmp_path, probes=WELL)
    report = place.services.doctor.run({"local", "demo", "claude"})
    assert report.is_well
    assert report.ready == {
        "demo": True, "local": True, "aws": False, "azure": False, "claude": True,
    }  # fmt: skip


def test_a_cloud_that_nobody_asks_about_is_not_looked_at(tmp_path: Path) -> None:
    place = make_place(tmp_path, probes=WELL)
    report = place.services.doctor.run({"local"})
    clouds = [check for check in report.checks if check.id.startswith(("aws.", "azure."))]
    assert {check.state for check in clouds} == {CheckState.SKIP}
    assert all("--for" in check.found for check in clouds)


@pytest.mark.parametrize("cloud", ["aws", "azure"])
def test_a_cloud_is_ready_when_all_its_checks_are_well(tmp_path: Path, cloud: str) -> None:
    names = {name for name in IDS if name.startswith(f"{cloud}.")} | {"clock"}
    well = {**WELL, **{name: found("ok") for name in names}}
    assert make_place(tmp_path / "well", probes=well).services.doctor.run({cloud}).ready[cloud]
    for name in names:
        probes = {**well, name: found("fail")}
        place = make_place(tmp_path / name, probes=probes)
        report = place.services.doctor.run({cloud})
        assert not report.ready[cloud], name
        assert report.ready["local"], name


def test_the_policies_need_no_login_and_another_cloud_has_none(tmp_path: Path) -> None:
    doctor = make_place(tmp_path).services.doctor
    assert doctor.policy("aws")["Version"] == "2012-10-17"
    assert doctor.policy("azure")["IsCustom"] is True
    with pytest.raises(UsageError, match="gcp"):
        doctor.policy("gcp")


def test_a_fault_that_does_not_matter_is_skipped_with_its_words(tmp_path: Path) -> None:
    place = make_place(tmp_path, probes={**WELL, "claude.login": found("fail", "not logged in")})

    local = place.services.doctor.run({"local"})
    assert local.is_well
    login = check_of(local, "claude.login")
    assert (login.state, login.found, login.fix) == (CheckState.SKIP, "not logged in", "f")
    claude = place.services.doctor.run({"claude"})
    assert not claude.is_well
    assert check_of(claude, "claude.login").state is CheckState.FAIL


def test_without_a_purpose_the_users_decide(tmp_path: Path) -> None:
    place = make_place(tmp_path, probes=WELL)
    assert place.services.doctor.run().purposes == {"demo", "local"}
    key = place.session()
    assert place.services.doctor.run().purposes == {"local", "claude"}
    place.services.sessions.create(key.user_id, host_provider="aws", start=False)
    assert "aws" in place.services.doctor.run().purposes


def test_an_unknown_purpose_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        make_place(tmp_path).services.doctor.run({"mars"})


def test_a_check_that_hangs_or_breaks_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.services.doctor.CHECK_LIMIT_S", 0.3)
    release = threading.Event()

    def hangs() -> Finding:
        release.wait(30)
        return Finding(state=CheckState.OK, found="late")

    def breaks() -> Finding:
        raise ZeroDivisionError

    def refuses() -> Finding:
        raise MissingProgramError("claude is not installed.", remedy="npm install")

    probes = {**WELL, "tmux.server": hangs, "tmux.bin": breaks, "claude.bin": refuses}
    place = make_place(tmp_path, probes=probes)
    report = place.services.doctor.run({"local"})
    release.set()

    assert not report.is_well
    assert "no answer" in check_of(report, "tmux.server").found
    assert check_of(report, "tmux.bin").state is CheckState.FAIL
    assert check_of(report, "claude.bin").fix == "npm install"
    assert check_of(report, "library").state is CheckState.OK


@pytest.mark.parametrize(
    ("said", "state"), [("tmux 3.3a", "ok"), ("tmux 3.1c", "fail"), ("", "fail")]
)
def test_tmux_is_asked_for_its_version(tmp_path: Path, said: str, state: str) -> None:
    script(tmp_path, "tmux", f"echo {said}")
    place = make_place(tmp_path, environ={"PATH": str(tmp_path)})

    check = check_of(place.services.doctor.run({"local"}), "tmux.bin")
    assert check.state == state


def login_check(tmp_path: Path, says: str = "nonsense", **environ: str) -> DoctorCheck:
    """`claude.login` where the CLI answers `says` and the settings lie below `tmp_path`."""
    text, _, after = says.partition(";")
    script(
        tmp_path,
        "claude",
        f"[ \"$1\" = --version ] && echo '2.1.330 (Claude Code)' || echo '{text}'\n{after}",
    )
    known = {"PATH": str(tmp_path), "HOME": str(tmp_path), **environ}
    report = make_place(tmp_path, environ=known).services.doctor.run({"claude"})
    assert "2.1.330" in check_of(report, "claude.bin").found
    return check_of(report, "claude.login")


@pytest.mark.parametrize(
    ("says", "found"),
    [
        ('{"loggedIn": true}', "an interactive login only, which is not handed to sessions"),
        ('{"loggedIn": false}; exit 1', "not logged in"), ("[]", "not logged in"),
        ("nonsense", "not logged in"),
    ],
)  # fmt: skip
def test_an_interactive_login_is_told_from_none_and_both_name_the_way(
    tmp_path: Path, says: str, found: str
) -> None:
    check = login_check(tmp_path, says)
    assert (check.state, check.found) == ("fail", found)
    assert check.fix == "`claude setup-token`, then `tmux-builder login`"


def test_the_operators_credentials_file_is_an_interactive_login(tmp_path: Path) -> None:
    (tmp_path / ".claude").mkdir()
    (tmp_path / ".claude" / ".credentials.json").write_text("{}")
    assert "interactive" in login_check(tmp_path).found


def test_a_stored_token_is_a_login_and_a_readable_one_names_its_chmod(tmp_path: Path) -> None:
    token = "sk-ant-oat01-planted-0123456789"
    store_login({"HOME": str(tmp_path)}, token)
    file = tmp_path / ".config" / "tmux-builder" / "claude-token"
    check = login_check(tmp_path)
    assert (check.state, check.found) == ("ok", f"by the stored oauth-token in {file}")
    file.chmod(0o640)
    check = login_check(tmp_path)
    assert (check.state, check.fix) == ("fail", f"chmod 600 {file}")
    assert "0640" in check.found
    assert "planted" not in check.found
    assert login_check(tmp_path, ANTHROPIC_AUTH_TOKEN="t").found == "by ANTHROPIC_AUTH_TOKEN"


def test_programs_that_are_asked_for_their_version_get_no_login(tmp_path: Path) -> None:
    script(tmp_path, "claude", 'echo 2.1.330; export -p > "$HOME/seen"')
    environ = {"PATH": str(tmp_path), "HOME": str(tmp_path), "AWS_SECRET_ACCESS_KEY": "planted-1"}
    make_place(tmp_path, environ=environ).services.doctor.run({"claude"})
    assert "planted-1" not in (tmp_path / "seen").read_text()


@pytest.mark.parametrize("name", ["ANTHROPIC_API_KEY", "CLAUDE_CODE_USE_BEDROCK"])
def test_a_key_in_the_environment_is_a_login_and_never_shown(tmp_path: Path, name: str) -> None:
    place = make_place(tmp_path, environ={"PATH": "", name: "sk-secret"})

    check = check_of(place.services.doctor.run({"claude"}), "claude.login")
    assert check.state is CheckState.OK
    assert "sk-secret" not in check.found


def test_a_computer_without_claude_is_told_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.services.probes.CHECKOUT", tmp_path)
    place = make_place(tmp_path, environ={"PATH": str(tmp_path)})

    check = check_of(place.services.doctor.run({"claude"}), "claude.bin")
    assert (check.state, check.fix) == ("fail", "npm install -g @anthropic-ai/claude-code")


def test_a_data_root_that_others_can_read_fails_with_the_command(tmp_path: Path) -> None:
    place: Place = make_place(tmp_path, probes=WELL)
    place.root.path.chmod(0o755)

    check = check_of(place.services.doctor.run({"local"}), "data")
    assert check.state is CheckState.FAIL
    assert check.fix == f"chmod 700 {place.root.path}"
    assert not [path for path in place.root.path.iterdir() if "doctor" in path.name]


def test_no_bubblewrap_fails_unless_isolation_is_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    off = load_settings({"isolation": "off"}, {"HOME": str(tmp_path)}, tmp_path)

    required = make_place(tmp_path).services.doctor.run({"local"})
    relaxed = make_place(tmp_path, settings=off).services.doctor.run({"local"})
    assert check_of(required, "bubblewrap").state is CheckState.FAIL
    assert check_of(relaxed, "bubblewrap").state is CheckState.WARN
