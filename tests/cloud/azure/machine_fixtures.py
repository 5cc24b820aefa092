"""An Azure with machines for tests: one for a module, empty for each test, and a login for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cloud.azure.machine_world import MachineWorld, machine_world


@pytest.fixture(scope="module")
def machine_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MachineWorld]:
    """One Azure for all tests of a module."""
    with machine_world(tmp_path_factory.mktemp("azure")) as world:
        yield world


@pytest.fixture(scope="module")
def quick_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MachineWorld]:
    """The same with machines that only say what real ones would."""
    with machine_world(tmp_path_factory.mktemp("azure"), is_real=False) as world:
        yield world


@pytest.fixture
def quick_place(
    quick_server: MachineWorld, own_account: Path, monkeypatch: pytest.MonkeyPatch
) -> MachineWorld:
    """An empty subscription of those."""
    quick_server.reset()
    for name, value in quick_server.environ().items():
        monkeypatch.setenv(name, value)
    return quick_server
