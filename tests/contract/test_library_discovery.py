"""The real Claude Code CLI announces what was injected into a session, and nothing else.

Here the CLI runs by itself, without walls: what keeps the folders above out is the session's own
repository and the settings that the product starts it with. `test_library_proof` starts it as the
product does.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from core.hosts.registry import built_hosts
from core.injection.catalogue import read_catalogue
from core.injection.inject import Injected, inject
from core.injection.lock import differences, read_lock
from core.injection.templates import SessionFacts
from core.models.user import HostProvider, SiteType
from core.paths import DataRoot, SessionPaths, library_folder
from tests.contract.first_request import FirstRequest, find_claude, first_request
from tmux_bridge.claude.foreign_memory import memory_settings

pytestmark = pytest.mark.claude

USER_ID = "7f3c9e01-5b1d-5c7e-9a43-2f6f0a6f11aa"
STRANGER = "Must never be seen."


@pytest.fixture(scope="module")
def claude() -> str:
    program = find_claude()
    if program is None:
        pytest.skip("NOT TESTED: the Claude Code CLI is not installed; run make test to get it")
    return program


def make_session(folder: Path, session_id: str) -> SessionPaths:
    paths = DataRoot(folder / "users").session(USER_ID, session_id)
    paths.root.mkdir(parents=True)
    return paths


def inject_shipped(paths: SessionPaths, host: HostProvider, site: SiteType) -> Injected:
    facts = SessionFacts(
        user_id=USER_ID,
        session_id=paths.root.name,
        host_provider=host,
        site_type=site,
        product_version="0.1.0",
    )
    return inject(library_folder(), paths, facts)


def plant_above(paths: SessionPaths) -> None:
    """What another customer's or the operator's own folders above could leak in."""
    for folder in (paths.root.parent, paths.root.parent.parent, paths.root.parents[3]):
        for name in (
            "CLAUDE.md", "CLAUDE.local.md", "AGENTS.md", ".claude/CLAUDE.md",
            ".claude/rules/stranger.md", ".claude/agents/stranger.md",
            ".claude/skills/stranger/SKILL.md",
        ):  # fmt: skip
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"---\nname: stranger\ndescription: {STRANGER}\n---\n{STRANGER}\n")


@pytest.fixture(scope="module")
def built_in(claude: str, tmp_path_factory: pytest.TempPathFactory) -> FirstRequest:
    """What the CLI announces by itself, in an empty session."""
    paths = make_session(tmp_path_factory.mktemp("empty"), "sess_20260112_000000")
    return first_request(claude, paths)


@pytest.mark.parametrize(("host", "site"), built_hosts())
def test_claude_announces_what_was_injected_and_nothing_else(
    claude: str, built_in: FirstRequest, tmp_path: Path, host: HostProvider, site: SiteType
) -> None:
    paths = make_session(tmp_path / "with [odd] {name}*", "sess_20260112_142233")
    injected = inject_shipped(paths, host, site)
    plant_above(paths)
    request = first_request(claude, paths, "--settings", memory_settings(paths.root))
    own_agents = built_in.agents
    own_skills = built_in.skills
    assert own_agents, "the CLI's own listing was not found, so this test would prove nothing"
    assert own_skills, "the CLI's own listing was not found, so this test would prove nothing"
    assert request.agents == own_agents | set(injected.agents)
    assert request.skills == own_skills | set(injected.skills)
    assert request.instruction_files == [str(paths.claude / "CLAUDE.md")]
    assert (paths.claude / "CLAUDE.md").read_text().strip() in request.text
    assert STRANGER not in request.text
    assert "stranger" not in request.text
    lock = read_lock(paths)
    assert lock is not None
    assert differences(paths, lock) == []
    given = {*injected.agents, *injected.skills}
    for item in read_catalogue(library_folder()).items:
        assert (item.description in request.text) is (item.name in given), item.name
