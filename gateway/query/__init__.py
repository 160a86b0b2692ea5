"""The reporting language: from a JSON body to a native Druid query, and from Druid's rows to an answer.

Pure: no module here does I/O, waits, reads a clock or logs (tests/unit/query/test_purity.py).
"""
