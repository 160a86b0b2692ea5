"""The local Druid cluster: `python -m druid --help`, or `druid.cluster.Cluster` from Python."""
