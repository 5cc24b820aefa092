"""The product's version; reading it from the package's metadata would cost more than the help."""

VERSION = "0.1.0"
PROGRAM = "tmux-builder"
