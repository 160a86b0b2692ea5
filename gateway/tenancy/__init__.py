"""Who is asking and whose rows they may see. Pure."""
