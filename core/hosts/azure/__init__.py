"""What both Azure hosts are made of."""
