"""What tasks await, and for how long."""
