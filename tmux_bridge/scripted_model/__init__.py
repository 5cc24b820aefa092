"""A scripted Messages API on loopback: it drives the real Claude CLI in the demo and in tests.

What is said comes from a script file; the CLI that listens is the real one and really writes
files. Nothing in here knows tmux or the store. Standard library and msgspec only.
"""

from __future__ import annotations

from tmux_bridge.scripted_model.script import Pace, Reply, Script, Turn, at_pace, load_script
from tmux_bridge.scripted_model.server import RequestRecord, ScriptedModel

__all__ = [
    "Pace", "Reply", "RequestRecord", "Script", "ScriptedModel", "Turn", "at_pace", "load_script",
]  # fmt: skip
