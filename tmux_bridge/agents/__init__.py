"""Claudes in panes: started, fed with prompts, watched and ended. One thread does all of it."""
