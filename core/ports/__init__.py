"""Small protocols between the product and what it drives."""
