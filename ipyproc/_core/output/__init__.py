"""What programs write: from the pipe to the log on disk, and from there to the lines of a screen."""
