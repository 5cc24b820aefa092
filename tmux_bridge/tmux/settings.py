"""What the private server is told: its configuration file and its environment."""

from __future__ import annotations

import sys
from collections.abc import Mapping

HUB = "_hub"
WIDTH = 160
HEIGHT = 48
HISTORY_LINES = 3000
BACK = "prefix d: back to tmux-builder"
HUB_COMMAND = ("sleep", "infinity") if sys.platform == "linux" else ("tail", "-f", "/dev/null")

_KEPT = ("HOME", "PATH", "LANG", "SHELL", "USER", "LOGNAME", "TZ")
UTF8_LOCALE = "C.UTF-8" if sys.platform == "linux" else "en_US.UTF-8"

# `window-size` stays unset: as a global `manual` it ends tmux 3.3a at the next new session.
# `paste-buffer` into a pane whose program has ended does the same, so every default key that
# pastes is guarded or unbound. The "Pane is dead" line would scroll away what the program said
# last, so the status line says it. Quick keys are keys, or a fast `prefix d` would be typed.
# `update-environment` would copy variables of whoever attaches.
_CONFIG = f"""\
set -g detach-on-destroy off
set -g remain-on-exit on
set -gq remain-on-exit-format ""
set -g history-limit {HISTORY_LINES}
set -s escape-time 0
set -g assume-paste-time 0
set -s exit-empty on
set -s set-clipboard off
set -s focus-events off
set -g default-terminal tmux-256color
set -g update-environment ""
set -g automatic-rename off
set -g allow-rename off
set -g set-titles off
set -g destroy-unattached off
set -g mouse on
set -g status on
set -g status-interval 0
set -g status-style "bg=colour236,fg=colour252"
set -g status-left " #{{session_name}}#{{?pane_dead, (ended),}} "
set -g status-left-length 60
set -g status-right " {BACK} "
set -g status-right-length 60
set -g window-status-format ""
set -g window-status-current-format ""
bind ] if -F "#{{pane_dead}}" "" "paste-buffer -p"
unbind =
unbind -n MouseDown2Pane
unbind -n MouseDown3Pane
unbind -n M-MouseDown3Pane
"""


def config_text() -> str:
    return _CONFIG


def clean_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The whole environment of the server, and so of every pane: an allow list.

    Whatever else the starter has, tokens above all, would be readable in every session.
    """
    kept = {name: environ[name] for name in _KEPT if environ.get(name)}
    term = environ.get("TERM", "")
    kept["TERM"] = term if term not in ("", "dumb") else "xterm-256color"
    kept["LC_ALL"] = UTF8_LOCALE
    kept.setdefault("PATH", "/usr/local/bin:/usr/bin:/bin")
    return kept
