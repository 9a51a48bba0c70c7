"""Which URLs and which addresses may be asked for. Decides; does no I/O."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

import httpx

from fast_graph.model.errors import InvalidError

Address = IPv4Address | IPv6Address

WRITTEN = re.compile(r"https?://[\x21-\x5b\x5d-\x7e]+", re.IGNORECASE)
"""What a URL is written with: no spaces, no control characters, no backslashes, nothing that looks like a letter."""

NAME = re.compile(r"(?=.{1,253}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
NUMBER = re.compile(r"\d+|0x[0-9a-f]*")
"""How the last part of a name looks that some would read as an address."""

DEFAULT_PORTS = {"http": 80, "https": 443}

CREDENTIALS = frozenset(
    map(
        ip_address,
        (
            *("169.254.169.254", "168.63.129.16", "100.100.100.200", "192.0.0.192"),
            *("fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254", "fd00:42::42"),
        ),
    )
)
"""Where clouds give credentials to whoever asks from the inside."""

TUNNELS = tuple(IPv6Network(net) for net in ("::/96", "64:ff9b::/96", "64:ff9b:1::/48", "2001::/32", "2002::/16"))
EXAMPLES = IPv6Network("3fff::/20")
"""For documents only."""
"""Addresses that stand for an IPv4 address somewhere."""


PRIVATE = tuple(map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")))


@dataclass(frozen=True, kw_only=True)
class UrlRules:
    """What is allowed. By default that is what the public internet has to offer."""

    loopback: bool = False
    """Whether this machine itself may be asked."""
    private: bool = False
    """Whether addresses of private networks may be; those of one link, and where clouds keep credentials, never are."""
    https_only: bool = False
    domains: Sequence[str] = ()
    """The only hosts, if any are named; ``*.example.com`` are those below it."""
    ports: Sequence[int] = (80, 443)
    """None named are all."""
    max_length: int = 2048

    def check(self, url: str) -> httpx.URL:
        """The URL, if it may be asked for as far as can be seen without resolving its host. Raises InvalidError."""
        if len(url) > self.max_length:
            raise InvalidError(f"The URL is longer than {self.max_length} characters")
        if not WRITTEN.fullmatch(url):
            raise InvalidError("The URL is not one of http or https, in plain characters")
        try:
            parsed = httpx.URL(url)
        except httpx.InvalidURL as error:
            raise InvalidError("The URL is malformed") from error
        self.check_parsed(parsed)
        return parsed

    def check_parsed(self, url: httpx.URL) -> None:
        """The same for a URL in parts. Raises InvalidError."""
        if url.scheme not in DEFAULT_PORTS or (self.https_only and url.scheme != "https"):
            raise InvalidError(f"The URL must begin with {'https://' if self.https_only else 'http:// or https://'}")
        if url.userinfo:
            raise InvalidError("The URL carries credentials: send them in another way")
        port = DEFAULT_PORTS[url.scheme] if url.port is None else url.port
        if port == 0 or (self.ports and port not in self.ports):
            raise InvalidError(f"The URL's port is not among those allowed: {', '.join(map(str, self.ports))}")
        host = url.raw_host.decode("ascii")
        self._check_host(host)

    def _check_host(self, host: str) -> None:
        if self.domains and not any(_is_of(host, domain) for domain in self.domains):
            raise InvalidError("The URL's host is not among those allowed")
        if (address := _address(host)) is not None:
            if not self.allows(address):
                raise InvalidError("The URL's address is not one that may be asked")
        elif not NAME.fullmatch(host) or NUMBER.fullmatch(host.rpartition(".")[2]):
            raise InvalidError("The URL's host is neither a name nor an address as it is usually written")

    def allows(self, address: Address) -> bool:
        """Whether a connection to the address may be made."""
        if address.is_loopback:
            return self.loopback
        if _is_never_allowed(address):
            return False
        if any(address.version == net.version and address in net for net in PRIVATE):
            return self.private
        return address.is_global


def _is_never_allowed(address: Address) -> bool:
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped or address.scope_id or address.is_site_local:
            return True
        if any(address in net for net in (*TUNNELS, EXAMPLES)):
            return True
    return (
        address in CREDENTIALS
        or address.is_reserved
        or address.is_multicast
        or address.is_link_local
        or address.is_unspecified
    )


def _address(host: str) -> Address | None:
    """The address that the host is, if it is written as one."""
    try:
        return ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None


def _is_of(host: str, domain: str) -> bool:
    if domain.startswith("*."):
        return host.endswith(domain[1:].lower())
    return host == domain.lower()
