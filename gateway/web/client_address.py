"""The address that a request comes from."""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address

from aiohttp import web

Network = IPv4Network | IPv6Network

_UNKNOWN = "unknown"


def address_of_request(request: web.Request, trusted: tuple[Network, ...]) -> str:
    """Return the client's address, behind the proxies that are trusted."""
    return address_of(request.remote, request.headers.getall("X-Forwarded-For", ()), trusted)


def address_of(peer: str | None, forwarded: Sequence[str], trusted: tuple[Network, ...]) -> str:
    """Return the client's address; for IPv6 its /64 network, which is what one customer has.

    This is the peer's address, unless the peer is a trusted proxy. Then it is the last address in X-Forwarded-For
    (`forwarded` contains all its lines) that does not belong to a trusted proxy: the client may have invented those
    before it.
    """
    if not trusted:
        return _parse(peer or "", trusted)[0]
    hops = [hop.strip() for line in forwarded for hop in line.split(",")]
    found = _UNKNOWN
    for hop in (peer or "", *reversed(hops)):
        name, is_trusted = _parse(hop, trusted)
        if name == _UNKNOWN and found != _UNKNOWN:
            # The text is not an address, so that the address of the proxy that forwarded it is used.
            break
        found = name
        if not is_trusted:
            break
    return found


@lru_cache(maxsize=10_000)
def _parse(text: str, trusted: tuple[Network, ...]) -> tuple[str, bool]:
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
