"""The Claude CLI as a process: start, events, state, transcript. Nothing here knows tmux."""
