"""Who the caller is, and whose rows the caller may see. Pure."""
