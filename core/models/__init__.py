"""Frozen domain values. They know no database, no network and no terminal."""
