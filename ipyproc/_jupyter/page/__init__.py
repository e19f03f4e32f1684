"""The page that may show widgets: its messages, the code that it runs, how much it is sent."""
