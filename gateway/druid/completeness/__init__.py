"""Whether Druid's answer includes all the data there is."""
