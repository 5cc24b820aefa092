"""Help, version and completion: complete, harmless, and light."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from core.paths import CHECKOUT, DataRoot
from tests.unit.cli_program import call, new_session
from tui.cli.catalog import ENTRIES, EXIT_CODES
from tui.cli.reference import PAGE, reference
from tui.cli.version import VERSION

HEAVY = ("boto3", "azure", "playwright", "textual", "dbos", "sqlalchemy", "libtmux")
NEEDLESS = (*HEAVY, "core", "msgspec", "sqlite3", "tmux_bridge")


def loaded(arguments: list[str], names: tuple[str, ...]) -> list[str]:
    """Which of these packages the program imports for a call."""
    probe = (
        "import sys\nfrom tui.cli import main\nsys.argv[1:] = " + repr(arguments) + "\nmain()\n"
        f"sys.stderr.write(','.join(n for n in {names!r} if n in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, timeout=60, check=True
    )
    return [name for name in done.stderr.splitlines()[-1:] if name]


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["user", "--help"]])
def test_help_and_version_load_nothing_of_the_product(arguments: list[str]) -> None:
    assert loaded(arguments, NEEDLESS) == []


@pytest.mark.parametrize(
    "arguments", [["user", "list"], ["session", "list"], ["status"], ["user", "create", "--help"]]
)
def test_light_verbs_load_no_heavy_package(place: DataRoot, arguments: list[str]) -> None:
    assert loaded(arguments, HEAVY) == []


def test_the_probe_of_loaded_packages_sees_them(place: DataRoot) -> None:
    assert loaded(["user", "list"], ("core", "sqlite3")) == ["core,sqlite3"]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_every_verb_has_help_with_examples_first(entry: tuple[str, ...]) -> None:
    ended = call(*entry[0].split(" "), "--help")
    assert ended.code == 0
    assert ended.out.startswith("Examples:\n  ")
    assert "Common flags" in ended.out


def test_the_help_names_every_verb_and_every_exit_code() -> None:
    ended = call("--help")
    words = ended.out.split()
    assert {entry.name.split(" ")[0] for entry in ENTRIES} <= set(words)
    assert {str(code) for code, _ in EXIT_CODES} <= set(words)


@pytest.mark.parametrize(
    "line",
    [
        "user create --email ana@example.org --phone 5550100199 --help",
        "-h user create --email ana@example.org --phone 5550100199",
        "user create --no-such-flag -h",
        "user no-such-verb --help",
        "user create --email a@b.co --phone 5550100199 -qh",
    ],
)
def test_help_anywhere_exits_0_and_changes_nothing(place: DataRoot, line: str) -> None:
    ended = call(*line.split(" "))
    assert ended.code == 0
    assert ended.out.startswith("Examples:")
    assert list(place.path.iterdir()) == []


def test_a_message_after_the_separator_asks_for_no_help(place: DataRoot) -> None:
    assert call("session", "send", "nobody@example.org", "--", "--help").code == 3


def test_the_version_is_the_package_s_own() -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    assert project["version"] == VERSION
    assert call("--version").out == f"tmux-builder {VERSION}\n"
    assert call("--json", "--version").document["data"] == {"version": VERSION}


def test_the_reference_page_is_fresh() -> None:
    assert PAGE.read_text() == reference(), "python -m tui.cli.reference"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_gets_its_completion_script(shell: str) -> None:
    ended = call("completion", shell)
    assert ended.code == 0
    assert "_TMUX_BUILDER_COMPLETE" in ended.out


def completed(*words: str) -> list[str]:
    ended = call(
        _TMUX_BUILDER_COMPLETE="bash_complete", COMP_WORDS=" ".join(("tmux-builder", *words)),
        COMP_CWORD=str(len(words)),
    )  # fmt: skip
    assert ended.code == 0, ended.err
    return [line.partition(",")[2] for line in ended.out.splitlines()]


def test_verbs_and_flags_are_completed() -> None:
    assert completed("user", "cr") == ["create"]
    assert "--host-provider" in completed("user", "create", "--host")
    assert completed("session", "list", "--state", "ne") == ["needs_you"]


def test_names_of_sessions_and_users_are_completed(place: DataRoot) -> None:
    _, session_id = new_session()
    assert completed("deploy", "sess_") == [session_id]
    assert completed("user", "show", "an") == ["ana@example.org"]


def test_the_installed_program_is_this_one(tmp_path: Path) -> None:
    program = Path(sys.executable).parent / "tmux-builder"
    if not program.exists():
        pytest.skip("the package is not installed as a program here")
    done = subprocess.run(
        [str(program), "--version"], capture_output=True, text=True, cwd=tmp_path, timeout=60,
        env=dict(os.environ), check=True,
    )  # fmt: skip
    assert VERSION in done.stdout
