"""Authentication: API tokens, and access tokens of an OAuth2 provider."""
