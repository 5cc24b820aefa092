"""A small library of its own for each test, and a session folder to inject it into."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from core.injection.templates import ALL_TEMPLATES, SessionFacts
from core.models.user import HostProvider, SiteType
from core.paths import DataRoot, SessionPaths

USER_ID = "7f3c9e01-5b1d-5c7e-9a43-2f6f0a6f11aa"
SESSION_ID = "sess_20260112_142233"
FACTS = SessionFacts(
    user_id=USER_ID,
    session_id=SESSION_ID,
    host_provider=HostProvider.LOCAL,
    site_type=SiteType.STATIC,
    product_version="0.1.0",
)

Match = Mapping[str, str]
_TEXTS = {
    ".md": "{{user_id}} {{session_id}} {{rule}}\n", ".json": "{}\n", ".sh": "#!/bin/sh\nexit 0\n",
}  # fmt: skip


def write(library: Path, file: str, text: str) -> Path:
    path = library / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def write_item(library: Path, file: str, name: str, body: str = "Do it.") -> Path:
    return write(
        library, file, f"---\nname: {name}\ndescription: Helps with {name}.\n---\n{body}\n"
    )


def rule(
    name: str, match: Match, *, agents: Sequence[str] = (), skills: Sequence[str] = ()
) -> dict[str, object]:
    inject = {"agents": list(agents), "skills": list(skills)}
    return {"name": name, "match": dict(match), "inject": inject}


def write_rules(library: Path, *rules: Mapping[str, object]) -> Path:
    return write(
        library, "injection_rules.json", json.dumps({"version": 1, "rules": rules}, indent=2)
    )


def make_library(folder: Path) -> Path:
    """Two agents, a discovered and a flat skill, every template and brief, one rule for all."""
    library = folder / "library"
    write_item(library, "agents/deployers/local.md", "local")
    write_item(library, "agents/testers/e2e.md", "e2e")
    write_item(library, "skills/testing/check/SKILL.md", "testing-check")
    write_item(library, "skills/testing/look.md", "testing-look")
    for template in ALL_TEMPLATES:
        write(library, template.source, _TEXTS[Path(template.file).suffix])
    write(library, "briefs/starter-static.md", "Build a static site.\n")
    write(library, "briefs/starter-dynamic.md", "Build a dynamic site.\n")
    everything = rule("all", {}, agents=["deployers/local", "testers/*"], skills=["testing/*"])
    write_rules(library, everything)
    return library


def make_session(folder: Path, session_id: str = SESSION_ID) -> SessionPaths:
    paths = DataRoot(folder / "users").session(USER_ID, session_id)
    paths.root.mkdir(parents=True)
    return paths


def injected_files(paths: SessionPaths) -> set[str]:
    return {
        str(path.relative_to(paths.claude)) for path in paths.claude.rglob("*") if not path.is_dir()
    }
