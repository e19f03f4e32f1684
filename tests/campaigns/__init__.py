"""Long versions of tests, run by hand: `python -m tests.campaigns.NAME`; they print figures."""
