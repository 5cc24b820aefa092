"""What both front ends call."""
