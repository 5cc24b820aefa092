from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = (
    "boto3", "azure", "playwright", "textual", "dbos", "sqlalchemy", "libtmux", "requests", "PIL",
    "starlette", "uvicorn", "psycopg",
)  # fmt: skip
USED = """
import sys
from pathlib import Path
from tests.unit.services_place import make_place
place = make_place(Path(sys.argv[1]))
key = place.session()
place.services.users.list()
place.services.sessions.list()
place.services.status.counts()
execution = place.store.executions.add(key)
place.services.status.document(execution.execution_id)
place.services.chat.send(key, "hello")
"""


def loaded(code: str, *arguments: str) -> set[str]:
    show = "import sys; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    answer = subprocess.run(
        [sys.executable, "-c", f"{code}\n{show}", *arguments],
        check=True, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    return set(answer.stdout.split())


@pytest.mark.parametrize(
    "module",
    [
        "core.services.services", "core.services.users", "core.services.sessions",
        "core.services.names", "core.services.chat", "core.services.deploys",
        "core.services.status", "core.services.library", "core.services.doctor",
        "core.services.changes", "core.store.views", "core.store.documents",
        "core.accounts.users", "core.config",
    ],
)  # fmt: skip
def test_no_service_loads_a_heavy_library(module: str) -> None:
    assert loaded(f"import {module}") & set(HEAVY) == set()


def test_using_the_light_services_loads_none_either(tmp_path: object) -> None:
    assert loaded(USED, str(tmp_path)) & set(HEAVY) == set()
