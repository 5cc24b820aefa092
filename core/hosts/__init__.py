"""One file a host, named <provider>_<site_type>.py; the registry finds them by name."""
