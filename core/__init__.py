"""The product without a terminal: no Textual and no tmux in here."""
