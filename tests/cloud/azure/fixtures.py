"""An Azure place for tests: one for a module, empty for each test, and a login for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cloud.azure.world import AzureWorld, azure_world


@pytest.fixture(scope="module")
def azure_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AzureWorld]:
    """One Azure for all tests of a module."""
    with azure_world(tmp_path_factory.mktemp("azure")) as world:
        yield world


@pytest.fixture
def azure_place(
    azure_server: AzureWorld, own_account: Path, monkeypatch: pytest.MonkeyPatch
) -> AzureWorld:
    """An empty subscription, and this process's environment pointing at its login."""
    azure_server.reset()
    for name, value in azure_server.environ().items():
        monkeypatch.setenv(name, value)
    return azure_server
