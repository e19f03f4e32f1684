"""Where a program runs: the launchers."""
