"""The gateway: a public, multi-tenant reporting API in front of Apache Druid."""
