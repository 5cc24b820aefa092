"""The durable engine and the seven steps."""
