"""Programs that are run to their end: one, several that are joined by pipes, or many side by side."""
