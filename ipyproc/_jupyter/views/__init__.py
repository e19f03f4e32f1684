"""What shows programs in a cell: cards, tables, transcripts, plain text."""
