"""Stream ingestion: supervisor specs for Kafka."""
