"""Whose address a request comes from."""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address

Network = IPv4Network | IPv6Network

_UNKNOWN = "unknown"


def address_of(peer: str | None, forwarded: Sequence[str], trusted: tuple[Network, ...]) -> str:
    """Return the address that asks, or its /64 network for IPv6, which is what one customer has.

    That is the peer's, unless the peer is a trusted proxy. Then it is the last address in X-Forwarded-For (all lines of
    which `forwarded` holds) that is no trusted proxy's: what stands before that one the caller may have made up.
    """
    if not trusted:
        return _named(peer or "", trusted)[0]
    hops = [hop.strip() for line in forwarded for hop in line.split(",")]
    found = _UNKNOWN
    for hop in (peer or "", *reversed(hops)):
        name, is_trusted = _named(hop, trusted)
        if name == _UNKNOWN and found != _UNKNOWN:
            # Not an address: the proxy that passed it on answers for it.
            break
        found = name
        if not is_trusted:
            break
    return found


@lru_cache(maxsize=10_000)
def _named(text: str, trusted: tuple[Network, ...]) -> tuple[str, bool]:
    try:
        address = ip_address(text)
    except ValueError:
        return _UNKNOWN, False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    is_trusted = any(address in network for network in trusted)
    if isinstance(address, IPv6Address):
        return str(IPv6Network((int(address), 64), strict=False)), is_trusted
    return str(address), is_trusted
