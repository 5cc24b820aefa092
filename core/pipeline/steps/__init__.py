"""One file a step, named like the step; the registry finds them by name."""
