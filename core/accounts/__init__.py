"""Users and sessions as folders, rows and injected libraries: made once, found again."""
