"""What both clouds share: names, tags, logins and the translation of their errors."""
