"""Logging, tracing and the instruments that count."""
