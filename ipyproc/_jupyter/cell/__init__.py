"""A program that runs for a cell: started, awaited, interrupted, handed over."""
