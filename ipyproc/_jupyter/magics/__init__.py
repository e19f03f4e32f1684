"""`%aproc`, `%%aproc` and `%aprocs`: from the line to the cell that runs."""
