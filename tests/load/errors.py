class LoadError(Exception):
    """The load test cannot run. The message names the reason and the remedy."""
