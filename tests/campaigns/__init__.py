"""Long versions of some tests, which print figures: `python -m tests.campaigns.NAME --count N`. pytest runs short ones."""
