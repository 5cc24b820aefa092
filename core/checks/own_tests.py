"""The tests that a session's Claude wrote, run by pytest in a contained process of their own.

They are a customer's program: they see a copy of their own files, Python, a browser and the
network, not the data root; they get no variable of ours, and they end when their time is over.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

import msgspec

from core.call_filter import filter_descriptor
from core.checks.cases import Case, Outcome
from core.checks.chromium import ARGUMENTS, Chromium
from core.checks.own_test_files import CopiedTests, copy_own_tests
from core.errors import CancelledError
from core.files import read_regular
from core.models.execution import Json
from core.sandbox import Sandbox, python_folders, sandboxed

logger = logging.getLogger(__name__)

_PLUGIN = "tmux_builder_own_tests"
_PLUGIN_SOURCE = Path(__file__).with_name("own_tests_plugin.py")
_RESULTS = "results.jsonl"
_RESULT_BYTES = 20 * 1024 * 1024
_OUTPUT_BYTES = 16 * 1024
_POLL_S = 0.05
_END_S = 5.0
_GOOD_EXITS = frozenset({0, 1, 5})


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnTestsOptions:
    """How the session's own tests are run.

    Attributes:
        limit_s: Over all of them together, with the start of their browser.
        test_limit_s: For each.
        contained: Under bubblewrap; without it they are skipped. Off is the operator's word.
    """

    grep: str | None = None
    list_only: bool = False
    limit_s: float = 120.0
    test_limit_s: float = 30.0
    contained: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnResult:
    """What came of the session's own tests. `state` is none, ran, stopped or skipped."""

    state: str
    cases: tuple[Case, ...] = ()
    output: str = ""
    reason: str | None = None
    left_out: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Json]:
        return {
            "state": self.state,
            **{
                outcome.value: sum(case.outcome is outcome for case in self.cases)
                for outcome in Outcome
            },
            "reason": self.reason,
            "left_out": list(self.left_out),
            "output": self.output,
        }


class _Event(msgspec.Struct):
    """One line of the plugin."""

    event: str
    name: str
    message: str = ""
    log: str = ""


class OwnTestsRun:
    """One run, begun by `start` and ended by `finish` or `close`; between them it goes on alone."""

    def __init__(
        self, folder: Path, *, url: str, chromium: Chromium, options: OwnTestsOptions
    ) -> None:
        self._url = url
        self._chromium = chromium
        self._options = options
        self._place = Path(tempfile.mkdtemp(prefix="tmux-builder-e2e-"))
        for name in ("tests", "plugin", "out"):
            (self._place / name).mkdir(mode=0o700)
        self.copied: CopiedTests = copy_own_tests(folder, self._place / "tests")
        self._process: subprocess.Popen[bytes] | None = None
        self._output: deque[bytes] = deque()
        self._reader: threading.Thread | None = None
        self._begin = 0.0

    def start(self) -> None:
        """Start pytest where there are tests.

        Raises:
            MissingProgramError: They must be contained and there is no bubblewrap.
        """
        if not self.copied.test_files:
            return
        self._write_plugin()
        with filter_descriptor() as calls:
            command = self._command()
            if self._options.contained:
                command = sandboxed(replace(self._sandbox(), calls=calls), command)
            self._begin = time.monotonic()
            self._process = subprocess.Popen(
                command,
                cwd=self._place / "tests",
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=() if calls is None else (calls,),
            )
        stream = self._process.stdout
        self._reader = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._reader.start()

    def finish(self, cancelled: Callable[[], bool]) -> OwnResult:
        """Wait for the end, or make one at the limit.

        Raises:
            CancelledError: `cancelled()` became true; everything is ended.
        """
        process = self._process
        if process is None:
            return OwnResult(state="none", left_out=self.copied.left_out)
        deadline = self._begin + self._options.limit_s
        while process.poll() is None and time.monotonic() < deadline:
            if cancelled():
                self.close()
                raise CancelledError("The tests were cancelled.", remedy="Start them again.")
            with suppress(subprocess.TimeoutExpired):
                process.wait(_POLL_S)
        is_late = process.poll() is None
        self._end()
        return self._result(is_late=is_late)

    def close(self) -> None:
        """End what runs and remove the private copy. Safe to call twice."""
        self._end()
        shutil.rmtree(self._place, ignore_errors=True)

    def _end(self) -> None:
        process = self._process
        if process is None:
            return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_END_S)
        if self._reader:
            self._reader.join(_END_S)
            if process.stdout and not self._reader.is_alive():
                process.stdout.close()

    def _write_plugin(self) -> None:
        plugin = self._place / "plugin"
        shutil.copyfile(_PLUGIN_SOURCE, plugin / f"{_PLUGIN}.py")
        (plugin / "pytest.ini").write_text("[pytest]\n")
        executable = self._chromium.executable
        settings = {
            "results": str(self._place / "out" / _RESULTS),
            "executable": str(executable) if executable else None,
            "arguments": list(ARGUMENTS),
            "grep": self._options.grep,
            "test_limit_s": self._options.test_limit_s,
        }
        (plugin / "settings.json").write_text(json.dumps(settings))

    def _command(self) -> list[str]:
        python = Path(sys.prefix).resolve() / "bin" / "python"
        tests = str(self._place / "tests")
        named = [part for plugin in _plugins() for part in ("-p", plugin)]
        listing = ["--collect-only"] if self._options.list_only else []
        return [
            *(str(python), "-P", "-m", "pytest", "-c", str(self._place / "plugin" / "pytest.ini")),
            *("--rootdir", tests, "--confcutdir", tests, "--tb=short", "-q", "--disable-warnings"),
            *("--base-url", self._url, "--output", str(self._place / "out" / "artifacts")),
            *named,
            *listing,
            tests,
        ]

    def _sandbox(self) -> Sandbox:
        tests, plugin = self._place / "tests", self._place / "plugin"
        return Sandbox(
            folder=tests,
            read_only=(*python_folders(), *self._browser_folders(), tests, plugin),
            writable=(self._place / "out",),
        )

    def _browser_folders(self) -> tuple[Path, ...]:
        system = (Path("/usr"), Path("/bin"), Path("/etc"))
        return tuple(
            folder
            for folder in self._chromium.folders()
            if not any(folder.is_relative_to(root) for root in system)
        )

    def _environment(self) -> dict[str, str]:
        environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": "/tmp" if self._options.contained else str(self._place / "out"),  # noqa: S108
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(self._place / "plugin"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        }
        if self._chromium.own_builds:
            environment["PLAYWRIGHT_BROWSERS_PATH"] = str(self._chromium.own_builds.resolve())
        return environment

    def _read(self, stream: IO[bytes]) -> None:
        """Keep the last part of the output, however much there is."""
        kept = 0
        while chunk := os.read(stream.fileno(), 4096):
            self._output.append(chunk)
            kept += len(chunk)
            while kept - len(self._output[0]) >= _OUTPUT_BYTES:
                kept -= len(self._output.popleft())

    def _result(self, *, is_late: bool) -> OwnResult:
        content = read_regular(self._place / "out", _RESULTS, limit=_RESULT_BYTES) or b""
        cases = _cases(content, list_only=self._options.list_only)
        output = b"".join(self._output).decode("utf-8", "replace")
        reason = f"ended after {self._options.limit_s:g} s" if is_late else None
        code = self._process.returncode if self._process else 0
        has_failed = any(case.outcome is Outcome.FAILED for case in cases)
        if not has_failed and (is_late or code not in _GOOD_EXITS):
            message = reason or f"pytest ended with exit code {code}"
            case = Case(name="own: pytest", outcome=Outcome.FAILED, message=message, log=output)
            cases = (*cases, case)
        logger.info("own tests ended", extra={"exit_code": code, "cases": len(cases)})
        return OwnResult(
            state="stopped" if is_late else "ran",
            cases=cases,
            output=output,
            reason=reason,
            left_out=self.copied.left_out,
        )


def _plugins() -> tuple[str, ...]:
    """Named one by one, ours last: its fixtures win. Newer pytest-playwrights need no base-url."""
    base_url = ("pytest_base_url.plugin",) if importlib.util.find_spec("pytest_base_url") else ()
    return ("no:cacheprovider", *base_url, "pytest_playwright.pytest_playwright", _PLUGIN)


def _cases(content: bytes, *, list_only: bool) -> tuple[Case, ...]:
    """One case per test: its verdict, or what became of it where there is none."""
    cases: dict[str, Case] = {}
    started: set[str] = set()
    for line in content.splitlines():
        try:
            event = msgspec.json.decode(line, type=_Event)
        except msgspec.DecodeError:
            continue  # the last line of a run that was cut off
        name = f"own: {event.name}"[:300]
        if event.event == "started":
            started.add(name)
        elif event.event == "collected":
            cases.setdefault(name, _unfinished(name, "was not run", list_only=list_only))
        elif not _has_failed(cases.get(name)):
            cases[name] = _verdict(name, event)
    return tuple(
        _unfinished(name, "did not end", list_only=False)
        if case.message == "was not run" and name in started
        else case
        for name, case in cases.items()
    )


def _has_failed(case: Case | None) -> bool:
    return case is not None and case.outcome is Outcome.FAILED and case.message != "was not run"


def _unfinished(name: str, message: str, *, list_only: bool) -> Case:
    outcome = Outcome.PASSED if list_only else Outcome.FAILED
    return Case(name=name, outcome=outcome, message="" if list_only else message)


def _verdict(name: str, event: _Event) -> Case:
    outcome = Outcome(event.event) if event.event in set(Outcome) else Outcome.FAILED
    return Case(name=name, outcome=outcome, message=event.message[:500], log=event.log[:8000])
