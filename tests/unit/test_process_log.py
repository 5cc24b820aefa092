"""Each log that a process writes is masked: message, facts, traces, and what nobody caught."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import BuilderError
from core.models.execution import LogLevel
from core.models.states import ExecutionStatus
from core.pipeline.engine_file import redirect_log
from core.redaction import MASK, learn
from tests.unit.services_place import make_place

SECRET = "planted-value-0123456789"
PROGRAM = """
import logging, sys, threading, warnings
from pathlib import Path
from core.process_log import log_to_file, log_to_terminal
where = sys.argv[1]
log_to_terminal() if where == "-" else log_to_file(Path(where), largest_bytes=4000, kept=1)
secret = "planted-" + "value-0123456789"
logger = logging.getLogger("here")
logger.info("message %s", secret)
logger.info("constant", extra={"fact": secret, "deep": {"a": [secret]}})
warnings.warn("warned of " + secret)
def fail():
    raise ValueError("failed with " + secret)
try:
    fail()
except ValueError:
    logger.exception("caught", stack_info=True)
thread = threading.Thread(target=fail)
thread.start()
thread.join()
class Odd:
    def __del__(self):
        fail()
Odd()
for number in range(80):
    logger.info("filling %d %s", number, secret) if where != "-" else None
fail()
"""


def written(where: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, where], check=False, capture_output=True, text=True,
        timeout=60, env={"A_TOKEN": SECRET, "PATH": "/usr/bin"},
    )  # fmt: skip


def test_a_log_file_holds_no_secret_and_is_private_also_after_it_was_turned_over(
    tmp_path: Path,
) -> None:
    done = written(str(tmp_path / "log"))
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["log", "log.1"]
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    text = "".join(file.read_text() for file in files)
    assert (done.returncode, done.stderr) == (1, "")
    assert SECRET not in text
    assert f"filling 79 {MASK}" in text
    assert f"ValueError: failed with {MASK}" in text


def test_what_goes_to_the_terminal_is_masked_too() -> None:
    said = written("-").stderr
    assert SECRET not in said
    for words in ("message", "constant", "warned of", "caught", "thread failed", "cleaning up"):
        assert words in said
    assert "process failed" in said


def test_the_engines_own_log_is_masked(tmp_path: Path) -> None:
    learn(SECRET)
    redirect_log(tmp_path / "engine.log")
    engine = logging.getLogger("dbos")
    engine.warning("lost %s", SECRET)
    for handler in list(engine.handlers):
        engine.removeHandler(handler)
        handler.close()
    text = (tmp_path / "engine.log").read_text()
    assert f"WARNING lost {MASK}" in text


def test_a_link_is_no_log_file(tmp_path: Path) -> None:
    (tmp_path / "log").symlink_to(tmp_path / "other")
    assert written(str(tmp_path / "log")).returncode == 1
    assert not (tmp_path / "other").exists()


def test_an_error_never_carries_a_known_secret() -> None:
    learn(SECRET)
    error = BuilderError(f"refused {SECRET}.", remedy=f"unset {SECRET}")
    assert SECRET not in f"{error} {error.message} {error.remedy} {error!r}"


def test_what_is_stored_of_a_run_is_masked_and_its_address_stays(tmp_path: Path) -> None:
    learn(SECRET)
    place = make_place(tmp_path)
    key = place.session()
    store = place.store
    execution = store.executions.add(key)
    store.logs.append(
        execution.execution_id, LogLevel.ERROR, f"a {SECRET}", details={"b": {"c": [SECRET]}}
    )
    url = f"https://{SECRET}.example"
    store.executions.set_result(execution.execution_id, {"url": url, "detail": f"d {SECRET}"})
    store.executions.set_status(
        execution.execution_id, ExecutionStatus.FAILED, error=SECRET, error_remedy=SECRET
    )
    place.views.execution(execution.execution_id)
    found = store.executions.require(execution.execution_id)
    assert (found.error, found.error_remedy, found.result["detail"]) == (MASK, MASK, f"d {MASK}")
    assert found.result["url"] == url
    logged = place.root.session(key.user_id, key.session_id).run_log(1).read_text()
    assert SECRET not in logged
    assert logged.count(MASK) == 2


@pytest.mark.parametrize("text", ["warned", f"warned {SECRET}"])
def test_a_process_without_a_log_masks_what_libraries_warn_of(text: str) -> None:
    program = (
        "import logging, sys; from core.process_log import guard_last_resort;"
        "guard_last_resort(); logging.getLogger('x').warning(sys.argv[1])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, text], check=True, capture_output=True, text=True,
        timeout=60, env={"A_TOKEN": SECRET, "PATH": "/usr/bin"},
    )  # fmt: skip
    assert done.stderr == text.replace(SECRET, MASK) + "\n"
