"""What the screens are made of; a widget shows values and posts facts, it calls no service."""
