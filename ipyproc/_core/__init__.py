"""Programs and their output. Needs the standard library, and psutil to find a family; knows nothing of Jupyter."""
