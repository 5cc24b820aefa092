"""The local host: one server process per data root, its control socket, and its publisher."""
