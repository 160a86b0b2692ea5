"""The account database: organizations, users, API tokens and partnerships, their administration and its CLI."""
