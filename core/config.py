"""The operator's settings: flags, environment, `./tmux-builder.toml`, the XDG file, defaults."""
