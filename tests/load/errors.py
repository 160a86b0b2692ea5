class LoadError(Exception):
    """The load test cannot be run; the text says why, and what to do."""
