"""A Kafka node next to the local cluster: `python -m druid kafka start`, or `druid.kafka.broker.Kafka`."""
