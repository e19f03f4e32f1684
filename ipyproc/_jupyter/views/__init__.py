"""The views that show programs in a cell: cards, tables, transcripts, plain text."""
