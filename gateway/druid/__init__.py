"""Everything that talks to Druid: a compiled query goes in, its checked rows come out."""
