"""What to run, what is known about it, and how it is stopped."""
