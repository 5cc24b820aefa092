"""Everything about tmux and nothing about the programs in its panes."""
