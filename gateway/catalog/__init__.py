"""The catalog: the data sets that callers can query. Each is described by one YAML file."""
