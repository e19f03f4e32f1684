"""Programs that are run to their end: one, some that are joined by pipes, or many side by side."""
