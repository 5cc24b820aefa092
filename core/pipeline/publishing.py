"""Writes a run's views: at once when a step ends, at most five times a second for log lines."""

from __future__ import annotations

import logging
import threading

from core.errors import BuilderError
from core.pipeline.ports import ViewWriter

INTERVAL_S = 0.2

logger = logging.getLogger(__name__)


class ViewPublisher:
    """Views follow the store. A view that cannot be written never harms the run."""

    def __init__(self, views: ViewWriter) -> None:
        self._views = views
        self._changed = threading.Condition()
        self._waiting: set[str] = set()
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()

    def now(self, execution_id: str) -> None:
        """Returns when the views of the run are on disk."""
        with self._changed:
            self._waiting.discard(execution_id)
        try:
            self._views.execution(execution_id)
        except (BuilderError, OSError):
            logger.warning("view not written", exc_info=True, extra={"execution_id": execution_id})

    def soon(self, execution_id: str) -> None:
        """Returns at once; the views follow within the interval, many changes in one writing."""
        with self._changed:
            self._waiting.add(execution_id)
            if self._thread is None and not self._closed.is_set():
                # One lasting thread: the store keeps a connection per thread.
                self._thread = threading.Thread(target=self._loop, name="views", daemon=True)
                self._thread.start()
            self._changed.notify()

    def close(self) -> None:
        """Write what waits and end the thread."""
        with self._changed:
            self._closed.set()
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(timeout=5.0)
        for execution_id in sorted(self._waiting):
            self.now(execution_id)

    def _loop(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._waiting) or self._closed.is_set())
                if self._closed.is_set():
                    return
                waiting = sorted(self._waiting)
            for execution_id in waiting:
                self.now(execution_id)
            self._closed.wait(INTERVAL_S)
