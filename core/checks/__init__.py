"""Checks of a deployed site: each takes an address and gives a result document."""
