"""One module for each family of verbs; `COMMANDS` maps full names to commands."""
