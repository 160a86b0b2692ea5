"""Batch ingestion: native `index_parallel` specs."""
