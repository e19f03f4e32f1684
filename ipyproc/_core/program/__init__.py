"""What is to run, what is known of it, and how it is stopped."""
