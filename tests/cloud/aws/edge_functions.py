"""CloudFront functions really run: one node process takes code and event, gives the outcome."""

from __future__ import annotations

import json
import subprocess
import threading
from typing import Any
from urllib.parse import parse_qsl

_RUNNER = r"""
const lines = require('readline').createInterface({ input: process.stdin });
const known = new Map();
lines.on('line', (line) => {
  const asked = JSON.parse(line);
  let said;
  try {
    if (!known.has(asked.code)) {
      known.set(asked.code, new Function(`${asked.code}\nreturn handler;`)());
    }
    const request = asked.event.request;
    if (asked.raw !== null) request.rawQueryString = () => asked.raw === '' ? undefined : asked.raw;
    const found = known.get(asked.code)(asked.event);
    said = { output: found.statusCode ? { response: found } : { request: found } };
  } catch (error) {
    said = { error: String(error) };
  }
  process.stdout.write(JSON.stringify(said) + '\n');
});
"""


class EdgeFunctions:
    """A node that lives as long as its owner: it ends when its input does."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._node: subprocess.Popen[str] | None = None

    def run(self, code: str, event: dict[str, Any], raw_query: str | None = None) -> dict[str, Any]:
        """`{"output": {"request"|"response": ...}}`, or `{"error": text}`.

        Args:
            raw_query: What `rawQueryString()` gives; None where the runtime has no such method.
        """
        with self._lock:
            node = self._started()
            assert node.stdin is not None
            assert node.stdout is not None
            asked = {"code": code, "event": event, "raw": raw_query}
            node.stdin.write(json.dumps(asked) + "\n")
            node.stdin.flush()
            said: dict[str, Any] = json.loads(node.stdout.readline())
            return said

    def close(self) -> None:
        if self._node is not None:
            assert self._node.stdin is not None
            self._node.stdin.close()
            self._node.wait(timeout=10)
            assert self._node.stdout is not None
            self._node.stdout.close()
            self._node = None

    def _started(self) -> subprocess.Popen[str]:
        if self._node is None:
            self._node = subprocess.Popen(
                ["node", "-e", _RUNNER],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8",
            )  # fmt: skip
        return self._node


def viewer_request(uri: str, query: str = "", headers: dict[str, str] | None = None) -> Any:
    """The event of a viewer's request, as CloudFront writes it."""
    grouped: dict[str, list[str]] = {}
    for part in filter(None, query.split("&")):
        name, _, value = part.partition("=")
        grouped.setdefault(name, []).append(value)
    return {
        "version": "1.0",
        "context": {"eventType": "viewer-request"},
        "viewer": {"ip": "198.51.100.7"},
        "request": {
            "method": "GET",
            "uri": uri,
            "querystring": {name: _parameter(values) for name, values in grouped.items()},
            "headers": {name: {"value": text} for name, text in (headers or {}).items()},
            "cookies": {},
        },
    }


def _parameter(values: list[str]) -> dict[str, Any]:
    if len(values) == 1:
        return {"value": values[0]}
    return {"value": values[-1], "multiValue": [{"value": value} for value in values]}


def query_pairs(location: str) -> list[tuple[str, str]]:
    """The decoded pairs of a Location's query, in order."""
    return parse_qsl(location.partition("?")[2], keep_blank_values=True)
