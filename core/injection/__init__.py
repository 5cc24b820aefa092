"""What Claude is given in a session: the library's items, chosen by rule, copied and locked."""
