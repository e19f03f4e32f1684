"""A process and its output. Standard library (and psutil, to find a family). Knows nothing of Jupyter."""
