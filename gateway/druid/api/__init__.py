"""Druid's HTTP APIs, one module per service. The only modules that contain Druid's URL paths."""
