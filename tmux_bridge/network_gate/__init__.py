"""The one way out of a pane whose network is limited: a gate outside, a forwarder inside.

Both run as small programs beside one pane, on the standard library alone, so that they depend on
no worker and start quickly. `hosts` alone belongs to the worker: it says what may be reached.
"""
