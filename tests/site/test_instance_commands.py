"""The texts that clouds run on an instance: safe, small, and really run by a shell."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.errors import (
    AnswerIsNoError,
    BuilderError,
    CloudRefusedError,
    CloudUnreachableError,
    ConflictError,
    NotFoundError,
    StorageError,
)
from core.hosts.instance import commands
from core.hosts.instance.agent_program import SOURCES, agent_program
from core.hosts.instance.archive import ReleaseArchive
from core.hosts.instance.commands import (
    LARGEST_USER_DATA_BYTES,
    AppState,
    Instance,
    answer_of,
    log_command,
    release_command,
    rollback_command,
    status_command,
    user_data,
    variables_command,
)
from tests.site.instance_kit import InstanceUnderTest, app_files, instance, text

AWS = """#!{python}
import json, os, shutil, sys
STORE = {store!r}
arguments = sys.argv[1:]
assert os.environ["AWS_REGION"] == "eu-central-1", os.environ
if arguments[:3] == ["s3", "cp", "--only-show-errors"] and len(arguments) == 5:
    source = os.path.join(STORE, arguments[3][len("s3://my-bucket/"):])
    if not os.path.exists(source):
        sys.exit("fatal error: An error occurred (403) when calling the HeadObject operation")
    shutil.copy(source, arguments[4])
elif arguments == [
    "ssm", "get-parameters-by-path", "--path", "/tmux-builder/site", "--recursive",
    "--with-decryption", "--output", "json",
]:
    print(open(os.path.join(STORE, "parameters.json")).read())
else:
    sys.exit("unknown: " + repr(arguments))
"""
ARCHIVE = ReleaseArchive(
    release_id="ab" * 10, path=Path("/nowhere"), sha256="cd" * 32, size_bytes=123
)
BLOBS = Instance(store_url="https://acct.blob.core.windows.net/releases")
AGENT_SOURCES = [*sorted(SOURCES.glob("*.py")), SOURCES.parent / "bootstrap.py"]


class Store:
    """A bucket as a folder, behind a stand-in for the aws program that refuses all else."""

    def __init__(self, one: InstanceUnderTest) -> None:
        self.one = one
        self.folder = one.base / "bucket"
        programs = one.base / "programs"
        programs.mkdir()
        self.folder.mkdir()
        python = f'#!/bin/sh\nexec {sys.executable} "$@"\n'
        aws = AWS.format(python=sys.executable, store=str(self.folder))
        for name, content in (("python3", python), ("aws", aws)):
            (programs / name).write_text(content)
            (programs / name).chmod(0o755)
        self.environ = {"PATH": f"{programs}:{os.environ['PATH']}"}
        self.instance = Instance(
            store_url="s3://my-bucket", region="eu-central-1", root=str(one.root),
            variables="ssm:/tmux-builder/site",
        )  # fmt: skip
        self.parameters({})

    def put(self, key: str, content: bytes) -> None:
        path = self.folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def parameters(self, values: dict[str, str]) -> None:
        rows = [
            {"Name": f"/tmux-builder/site/{name}", "Type": "SecureString", "Value": value}
            for name, value in values.items()
        ]
        self.put("parameters.json", json.dumps({"Parameters": rows}).encode())

    def archive(self, word: str) -> ReleaseArchive:
        archive = self.one.archive(app_files(word))
        self.put(archive.key, archive.path.read_bytes())
        return archive

    def run(self, command: str) -> str:
        """What the shell prints, as a cloud would show it."""
        done = subprocess.run(
            ["/bin/sh"], input=command, check=False, capture_output=True, text=True,
            env=self.environ, timeout=60,
        )  # fmt: skip
        assert not done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    with instance() as one:
        found = Store(one)
        found.put(agent_program().key, agent_program().content)
        yield found


def test_a_release_travels_through_the_store_and_answers(store: Store) -> None:
    archive = store.archive("shipped")
    answer = answer_of(store.run(release_command(store.instance, archive)))
    assert (answer.release_id, answer.app, answer.changed) == (
        archive.release_id, AppState.RUNNING, True,
    )  # fmt: skip
    assert answer.agent_sha256 == agent_program().sha256
    assert text(store.one.url) == "shipped"
    again = answer_of(store.run(release_command(store.instance, archive)))
    assert not again.changed


def test_an_instance_without_this_agent_gets_it_before_the_command(store: Store) -> None:
    agent = store.one.root / "agent.pyz"
    agent.write_bytes(b"an older agent")
    archive = store.archive("after an update")
    assert answer_of(store.run(release_command(store.instance, archive))).changed
    assert agent.read_bytes() == agent_program().content
    agent.unlink()
    assert answer_of(store.run(variables_command(store.instance))).app is AppState.RUNNING


def test_an_agent_that_is_not_the_one_wanted_is_not_run(store: Store) -> None:
    agent = store.one.root / "agent.pyz"
    agent.write_bytes(b"an older agent")
    store.put(agent_program().key, b"print('something else')")
    with pytest.raises(StorageError, match="not the one wanted"):
        answer_of(store.run(variables_command(store.instance)))
    assert agent.read_bytes() == b"an older agent"
    assert not list(store.one.root.glob(".agent.*"))
    store.put(agent_program().key, agent_program().content)
    answer_of(store.run(variables_command(store.instance)))


def test_variables_of_the_facility_are_handed_on(store: Store) -> None:
    answer_of(store.run(release_command(store.instance, store.archive("with variables"))))
    store.parameters({"API_KEY": "from the facility"})
    assert answer_of(store.run(variables_command(store.instance))).variables == 1
    assert text(f"{store.one.url}/key") == "from the facility"


def test_a_store_that_refuses_is_told_from_one_that_does_not_answer(store: Store) -> None:
    missing = replace(store.one.archive(app_files("never stored")), sha256="0" * 64)
    with pytest.raises(CloudRefusedError, match="403"):
        answer_of(store.run(release_command(store.instance, missing)))


def test_roll_back_log_and_status_run_too(store: Store) -> None:
    first, second = store.archive("first"), store.archive("second")
    for archive in (first, second):
        answer_of(store.run(release_command(store.instance, archive)))
    answer = answer_of(store.run(rollback_command(store.instance, first.release_id)))
    assert answer.release_id == first.release_id
    assert answer_of(store.run(status_command(store.instance))).release_id == first.release_id
    assert "starting first" in answer_of(store.run(log_command(store.instance, 50))).log
    with pytest.raises(NotFoundError):
        answer_of(store.run(rollback_command(store.instance, "ab" * 10)))


def test_a_question_to_an_instance_without_an_agent_is_answered(store: Store) -> None:
    nowhere = replace(store.instance, root=f"{store.one.base}/nowhere")
    with pytest.raises(NotFoundError, match="no agent"):
        answer_of(store.run(status_command(nowhere)))


COMMANDS: list[Callable[[Instance], str]] = [
    lambda one: release_command(one, ARCHIVE),
    lambda one: rollback_command(one, "ab" * 10),
    variables_command,
    status_command,
    lambda one: log_command(one, 50),
]


@pytest.mark.parametrize("make", COMMANDS)
def test_a_text_is_the_same_every_time_and_holds_nothing_that_ssm_replaces(
    make: Callable[[Instance], str],
) -> None:
    assert make(BLOBS) == make(BLOBS)
    assert "{{" not in make(BLOBS)
    assert len(make(BLOBS).encode()) < 12_000
    checked = subprocess.run(["/bin/sh", "-n"], input=make(BLOBS), check=False, text=True)
    assert checked.returncode == 0


@pytest.mark.parametrize(
    "fields",
    [
        {"store_url": "s3://bucket'; rm -rf /"},
        {"store_url": "http://acct.blob.core.windows.net/releases"},
        {"store_url": "https://user@host/x"},
        {"store_url": "file:///etc"},
        {"store_url": "s3://Bucket"},
        {"region": "eu central"},
        {"variables": "ssm:/a/$(id)"},
        {"variables": "file:/etc/shadow"},
        {"variables": "keyvault:http://name.vault.azure.net"},
        {"root": "relative"},
        {"root": "/opt/a b"},
        {"root": "/opt/'x"},
    ],
)
def test_a_value_of_another_form_is_refused(fields: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="cannot be the"):
        Instance(**{"store_url": "s3://my-bucket", **fields})


@pytest.mark.parametrize(
    "change", [{"release_id": "../x"}, {"release_id": "ab' x"}, {"sha256": "cd" * 31}]
)
def test_an_archive_with_another_form_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="cannot be the"):
        release_command(BLOBS, replace(ARCHIVE, **change))


def test_user_data_fits_is_a_shell_script_and_opens_no_door() -> None:
    assert len(user_data().encode()) < LARGEST_USER_DATA_BYTES
    checked = subprocess.run(["/bin/sh", "-n"], input=user_data(), check=False, text=True)
    assert checked.returncode == 0
    assert user_data().startswith("#!/bin/sh\n")
    assert "systemctl mask" in user_data()


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("app_not_started", AnswerIsNoError), ("build_failed", AnswerIsNoError),
        ("empty_source", AnswerIsNoError), ("no_release", NotFoundError),
        ("not_installed", NotFoundError), ("busy", ConflictError), ("cancelled", ConflictError),
        ("fetch_refused", CloudRefusedError), ("fetch_failed", CloudUnreachableError),
        ("archive_refused", StorageError), ("disk_full", StorageError), ("odd", BuilderError),
    ],
)  # fmt: skip
def test_each_refusal_becomes_an_error_of_the_tree_with_what_was_said(
    code: str, kind: type[BuilderError]
) -> None:
    said = json.dumps({
        "ok": False, "error": {"code": code, "message": "It went wrong."},
        "log": ["first ", "", "last line"],
    })  # fmt: skip
    with pytest.raises(kind, match=r"It went wrong\. It said: first \| last line") as caught:
        answer_of(f"noise\n{said}\n")
    assert (caught.value.code, bool(caught.value.remedy)) == (code, True)


@pytest.mark.parametrize("printed", ["", "\n", "Segmentation fault", "[1]", '{"ok": 1}', '{"ok"'])
def test_an_answer_that_is_none_is_said_to_be_none(printed: str) -> None:
    with pytest.raises(BuilderError) as caught:
        answer_of(printed)
    assert caught.value.code == "instance_unreadable"


def test_codes_of_the_agent_all_have_their_error() -> None:
    used = {
        node.value
        for path in AGENT_SOURCES
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id in ("AgentError", "FetchError")
        for node in ast.walk(call.args[0])
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert used - {"failed"} <= set(commands._KINDS)


@pytest.mark.parametrize("path", AGENT_SOURCES, ids=lambda path: path.stem)
def test_what_runs_on_an_instance_is_python_3_9_and_stands_alone(path: Path) -> None:
    tree = ast.parse(path.read_text(), feature_version=(3, 9))
    imported = {
        name.partition(".")[0]
        for node in ast.walk(tree)
        for name in (
            [one.name for one in node.names] if isinstance(node, ast.Import)
            else [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level
            else []
        )
    }  # fmt: skip
    assert imported <= sys.stdlib_module_names
    newer = {"TaskGroup", "timeout", "StrEnum", "UTC", "removeprefix_", "tomllib", "file_digest"}
    named = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not named & newer
    options = {
        word.arg for node in ast.walk(tree) if isinstance(node, ast.Call) for word in node.keywords
    }
    assert not options & {"slots", "kw_only", "strict", "process_group"}


def test_the_shipped_agent_is_the_same_bytes_every_time() -> None:
    probe = "from core.hosts.instance.agent_program import agent_program as a; print(a().sha256)"
    done = subprocess.run(
        [sys.executable, "-c", probe], check=True, capture_output=True, text=True, timeout=60,
        cwd=SOURCES.parents[3],
    )  # fmt: skip
    assert done.stdout.strip() == agent_program().sha256
