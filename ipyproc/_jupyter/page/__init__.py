"""The page that may look on: its messages, the code that it runs, how much it is sent."""
