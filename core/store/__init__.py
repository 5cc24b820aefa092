"""One database behind one port, and the JSON views people and Claude read."""
