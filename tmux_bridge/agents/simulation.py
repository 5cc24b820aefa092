"""The scripted model behind simulated sessions: one server per script and speed, on a lasting port.

It lives in the worker. After a worker's restart it listens on the same port again, so that a
Claude which outlived the old worker finds it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from core.errors import BuilderError
from core.files import write_atomically
from core.models.session import Session
from core.models.states import ModelSpeed
from core.models.user import SiteType
from core.paths import RuntimePaths, library_folder
from core.store.store import Store
from tmux_bridge.scripted_model import Pace, Script, ScriptedModel, at_pace, load_script

SCRIPTS = {SiteType.STATIC: "bakery.json", SiteType.DYNAMIC: "dynamic.json"}

PACES: Mapping[ModelSpeed, Pace] = {
    # 300 characters a second, so that a person can read along.
    ModelSpeed.SLOW: Pace(delay_s=1.0, chunk_chars=12, chunk_delay_s=0.04),
    ModelSpeed.FAST: Pace(),
}
"""A speed that is left out here is the script's own."""

REMEMBERED = 20
"""Requests kept for a look: the worker lives for weeks."""

logger = logging.getLogger(__name__)


class Simulation:
    """Says where a session's Messages API is; starts the scripted one where it is needed."""

    def __init__(self, store: Store, runtime: RuntimePaths) -> None:
        self._store = store
        self._runtime = runtime
        self._models: dict[tuple[SiteType, ModelSpeed], ScriptedModel] = {}

    def url_for(self, session: Session) -> str | None:
        """The session's own address, the scripted model's, or None for the vendor's."""
        if session.model_url is not None or not session.simulated:
            return session.model_url
        return self._model(session.site_type, session.model_speed).url

    def resume(self) -> None:
        """Listen again for simulated Claudes that outlived the last worker."""
        for agent in self._store.agents.awake():
            session = self._store.sessions.get(agent.key)
            if session is None:
                continue
            try:
                self.url_for(session)
            except BuilderError as error:
                logger.warning("no scripted model", extra={"why": error.message})

    def stop(self) -> None:
        for model in self._models.values():
            model.stop()

    def _model(self, site_type: SiteType, speed: ModelSpeed) -> ScriptedModel:
        if (site_type, speed) not in self._models:
            self._models[site_type, speed] = self._start(site_type, speed)
        return self._models[site_type, speed]

    def _start(self, site_type: SiteType, speed: ModelSpeed) -> ScriptedModel:
        script = _script(site_type, speed)
        port_file = self._port_file(site_type, speed)
        for port in (_read_port(port_file), 0):
            with suppress(OSError, BuilderError):
                model = ScriptedModel(script, port=port, keep=REMEMBERED)
                url = model.start()
                write_atomically(port_file, url.rsplit(":", 1)[1].strip("/").encode())
                logger.info("scripted model listens", extra={"url": url})
                return model
        raise BuilderError(
            "The scripted model cannot listen on 127.0.0.1.", remedy="tmux-builder doctor"
        )

    def _port_file(self, site_type: SiteType, speed: ModelSpeed) -> Path:
        return self._runtime.path / f"model-{site_type}-{speed}.port"


def _script(site_type: SiteType, speed: ModelSpeed) -> Script:
    script = load_script(library_folder() / "demo" / SCRIPTS[site_type])
    return at_pace(script, PACES[speed]) if speed in PACES else script


def _read_port(path: Path) -> int:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return 0
