"""A Kafka beside the local cluster, for streaming: `python -m druid kafka start`, or `druid.kafka.broker.Kafka`."""
