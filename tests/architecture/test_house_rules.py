"""The house keeps its shape: layers, sizes, names, and what a light command may load."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent.parent
ROOMS = ("core", "tmux_bridge", "tui")
MODULE_LINES = 500
FUNCTION_LINES = 50
GIANTS = {"tui/builder_app.py": 300, "tui/screens/main.py": 300}
SHAPELESS = {"utils", "common", "manager", "misc", "helpers", "shared"}
HEAVY = ("boto3", "azure", "playwright", "textual", "dbos", "sqlalchemy", "libtmux")


def modules() -> list[Path]:
    return sorted(path for room in ROOMS for path in (CHECKOUT / room).rglob("*.py"))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def body_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    first = node.body[0]
    has_docstring = (
        isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Constant)
        and isinstance(first.value.value, str)
    )
    start = (first.end_lineno or first.lineno) + 1 if has_docstring else first.lineno
    return (node.end_lineno or start) - start + 1


def test_no_module_is_longer_than_500_lines() -> None:
    long = {str(p): n for p in modules() if (n := len(p.read_text().splitlines())) > MODULE_LINES}
    assert not long


def test_no_function_body_is_longer_than_50_lines() -> None:
    long = [
        f"{path.relative_to(CHECKOUT)}:{node.lineno} {node.name} {body_lines(node)}"
        for path in modules()
        for node in functions(path)
        if body_lines(node) > FUNCTION_LINES
    ]
    assert not long


def test_the_app_and_its_main_screen_stay_small() -> None:
    for name, limit in GIANTS.items():
        assert len((CHECKOUT / name).read_text().splitlines()) <= limit, name


def test_no_module_has_a_name_that_says_only_that_it_is_shared() -> None:
    assert not [path for path in modules() if path.stem in SHAPELESS]


def test_nothing_is_printed_outside_the_command_line() -> None:
    printing = [
        f"{path.relative_to(CHECKOUT)}:{node.lineno}"
        for path in modules()
        if not path.is_relative_to(CHECKOUT / "tui" / "cli")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
        and path.name != "__main__.py"
    ]
    assert not printing


def test_logging_handlers_are_made_only_where_their_filter_is_installed() -> None:
    """A `NullHandler` writes nothing. The agent runs alone on a site's instance, without `core`."""
    allowed = {CHECKOUT / "core" / "process_log.py", CHECKOUT / "core" / "log_file.py"}
    agent = CHECKOUT / "core" / "hosts" / "instance" / "agent"
    makers = re.compile(r"(basic|dict|file)Config|(Stream|SysLog|Queue|Memory|\w*File)Handler")
    making = [
        f"{path.relative_to(CHECKOUT)}:{node.lineno}"
        for path in modules()
        if path not in allowed and not path.is_relative_to(agent)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute | ast.Name)
        and makers.fullmatch(node.attr if isinstance(node, ast.Attribute) else node.id)
    ]
    assert not making


def test_no_command_goes_through_a_shell() -> None:
    shells = [
        f"{path.relative_to(CHECKOUT)}:{node.lineno}"
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.keyword)
        and node.arg == "shell"
        and isinstance(node.value, ast.Constant)
        and node.value.value is True
    ]
    assert not shells


def test_the_import_contracts_hold() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports")], cwd=CHECKOUT, check=False,
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:]


@pytest.mark.parametrize("module", ["core.services.services", "tui.wiring", "tui.cli"])
def test_what_every_verb_loads_is_light(module: str) -> None:
    probe = f"import sys, {module}; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", probe], cwd=CHECKOUT, check=True, capture_output=True, text=True,
        timeout=60,
    )  # fmt: skip
    assert done.stdout.strip() == "[]"


def test_nothing_names_a_place_outside_the_checkout() -> None:
    """A stranger's clone has no folder beside it, so no file may point there."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=CHECKOUT, check=True,
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    outside = "../" + "shared"
    naming = [
        name
        for name in listed.stdout.splitlines()
        if (path := CHECKOUT / name).is_file()
        and path.suffix in {".py", ".md", ".toml", ".json", ".sh", ".tcss", ""}
        and outside in path.read_text(errors="replace")
    ]
    assert not naming
