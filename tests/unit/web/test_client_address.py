"""The address that a request comes from."""

from ipaddress import ip_network
from typing import Any

import pytest

from gateway.web.client_address import address_of

PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "trusted", "expected"),
    [
        ("192.0.2.1", [], (), "192.0.2.1"),
        # Only proxies in the settings are trusted.
        ("192.0.2.1", ["198.51.100.1"], (), "192.0.2.1"),
        ("192.0.2.1", ["198.51.100.1"], PROXIES, "192.0.2.1"),
        ("10.0.0.1", ["198.51.100.1"], PROXIES, "198.51.100.1"),
        # Addresses that the client added in front do not count, in one line or in several.
        ("10.0.0.1", ["203.0.113.9, 198.51.100.1"], PROXIES, "198.51.100.1"),
        ("10.0.0.1", ["203.0.113.9", "198.51.100.1"], PROXIES, "198.51.100.1"),
        ("10.0.0.1", ["203.0.113.9, 198.51.100.1, 10.9.9.9"], PROXIES, "198.51.100.1"),
        ("10.0.0.1", [], PROXIES, "10.0.0.1"),
        ("10.0.0.1", ["10.0.0.2, 10.0.0.3"], PROXIES, "10.0.0.2"),
        ("10.0.0.1", ["unknown"], PROXIES, "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1, nonsense, 10.0.0.2"], PROXIES, "10.0.0.2"),
        # One customer has a whole /64 network.
        ("2001:db8:1:2:3:4:5:6", [], (), "2001:db8:1:2::/64"),
        ("fd00::1", ["2001:db8:1:2:ffff::1"], PROXIES, "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", [], (), "192.0.2.1"),
        ("::ffff:10.0.0.1", ["198.51.100.1"], PROXIES, "198.51.100.1"),
        (None, [], (), "unknown"),
    ],
)
def test_the_address_is_that_of_the_client(peer: str | None, forwarded: list[str], trusted: Any, expected: str) -> None:
    assert address_of(peer, forwarded, trusted) == expected
