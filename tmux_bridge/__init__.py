"""The only room that knows tmux and the claude process."""
