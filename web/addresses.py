"""Fetches pictures from web addresses that people give, so that nobody can reach non-public servers through the site.

Each URL, and each one it redirects to, passes the same checks: http or https on the standard port, no credentials, and
a host name whose resolved IP addresses are all public. The connection then goes to one of the addresses that were
checked, so that a name that resolves differently a moment later (DNS rebinding) leads nowhere else.
"""

import contextlib
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotInTime
from dataclasses import dataclass
from http.client import HTTPException
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit

import certifi
import idna
from flask import current_app
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from config import Settings

IP = ipaddress.IPv4Address | ipaddress.IPv6Address

SECONDS = 15.0  # in total, redirects included
CONNECT_SECONDS = 5.0
REDIRECTS = 5
LENGTH = 2000  # characters of an address
CHUNK = 1 << 16  # bytes
PORTS = {"http": 80, "https": 443}
TYPES = ("application/octet-stream", "binary/octet-stream")  # and image/*
MOVED = (301, 302, 303, 307, 308)
HEADERS = {
    "Accept": "image/*",
    "Accept-Encoding": "identity",  # a compressed body could expand without end
    "User-Agent": "image-search",
    "Connection": "close",
}
WRITABLE = "%/:=&?~+!$,;'@()*[]-._"  # characters that are not quoted in a path or a query

# Public IPv6 addresses, less those that stand for an IPv4 address behind a gateway.
GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
TUNNELS = [ipaddress.ip_network(net) for net in ("2001::/32", "2002::/16")]  # Teredo, 6to4
# Public by their numbers, but answered inside a cloud: to its machines they tell, and give, keys.
CLOUD = [ipaddress.ip_address(each) for each in ("168.63.129.16", "192.0.0.192")]  # of Azure, of Oracle
NAT64 = ipaddress.ip_network("64:ff9b::/96")

# A DNS lookup cannot be interrupted; in a thread, we can at least stop waiting for it.
_resolving = ThreadPoolExecutor(8, thread_name_prefix="resolving")


class Refused(Exception):
    """Why a picture was not fetched, as one sentence for the user; never contains anything that a server sent."""


def is_public(address: IP) -> bool:
    """Whether an IP address belongs to the public internet, as far as the address itself shows."""
    if address.version == 6:
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if address in NAT64:
            return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        if address not in GLOBAL_UNICAST or any(address in net for net in TUNNELS):
            return False
    if address in CLOUD:
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def resolve(host: str, port: int) -> list[str]:
    """All IP addresses of a host name. Raises OSError if there are none."""
    return [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


@dataclass(frozen=True)
class Network:
    """Which servers may be reached, and how. Tests, whose servers are on this computer, pass another one."""

    resolve: Callable[[str, int], list[str]] = resolve
    allowed: Callable[[IP], bool] = is_public
    ports: frozenset[int] | None = None  # None: only the scheme's own
    authorities: str = certifi.where()  # file of the certificates that verify https servers
    seconds: float = SECONDS


PUBLIC = Network()


def fetch(address: str, settings: Settings, network: Network = PUBLIC) -> tuple[bytes, str]:
    """The content at a URL, which is not trusted in any way, and a file name for it.

    settings: `addresses` and `upload_megabytes` are used. Raises Refused.
    """
    if not settings.addresses:
        raise Refused("This site does not fetch pictures from web addresses.")
    deadline = time.monotonic() + network.seconds
    for _ in range(REDIRECTS + 1):
        target = _checked(address, network)
        response = _get(target, settings.upload_megabytes << 20, deadline, network)
        if isinstance(response, bytes):
            return response, _name(target)
        try:
            address = urljoin(address, response)
        except ValueError:
            raise Refused("That address redirects to one that is not valid.") from None
    raise Refused("That address redirects too many times.")


def fetch_for_site(address: str) -> tuple[bytes, str]:
    """As `fetch`, with the settings of the current site. Raises Refused."""
    return fetch(address, current_app.extensions["settings"], current_app.config.get("NETWORK", PUBLIC))


@dataclass(frozen=True)
class _Target:
    """A URL that was parsed and passed the checks; its host is not resolved yet."""

    scheme: str
    host: str  # as certificates have it: lower case, IDNA, without a last dot; an IPv6 address without brackets
    port: int
    path: str  # and query

    @property
    def host_header(self) -> str:
        """The value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"


def _checked(address: str, network: Network) -> _Target:
    """Parse a URL. Raises Refused if we do not fetch from it."""
    address = address.strip()
    if len(address) > LENGTH:
        raise Refused(f"That address is too long: the limit is {LENGTH} characters.")
    if not address.isprintable() or any(letter.isspace() or letter == "\\" for letter in address):
        raise Refused("That is not a web address.")
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        raise Refused("That is not a web address.") from None
    if parts.scheme not in PORTS or not parts.hostname:
        raise Refused("Please give a web address that begins with http:// or https://.")
    if "@" in parts.netloc:
        raise Refused("Addresses with a user name or password in them are not allowed.")
    port = PORTS[parts.scheme] if port is None else port
    if port != PORTS[parts.scheme] if network.ports is None else port not in network.ports:
        raise Refused("Only the standard ports are allowed: 80 for http, 443 for https.")
    return _Target(parts.scheme, _host(parts.hostname), port, _path(parts))


def _host(host: str) -> str:
    """A host as a certificate has it. Raises Refused for what is neither a name nor a plainly written IP address."""
    if ":" in host:
        try:
            if "%" not in host:
                return str(ipaddress.IPv6Address(host))
        except ValueError:
            pass
        raise Refused("That is not a web address.")
    try:
        name = idna.encode(host, uts46=True).decode().rstrip(".").lower()
        last = name.rsplit(".", 1)[-1]
        # Resolvers also accept 0x7f000001, 2130706433, 0177.1 and the like as IP addresses; no honest URL uses them.
        if last.isdigit() or last.startswith("0x"):
            name = str(ipaddress.IPv4Address(name))
    except (UnicodeError, ValueError):  # IDNAError is a UnicodeError
        raise Refused("That is not a web address.") from None
    return name


def _path(parts: SplitResult) -> str:
    path = quote(parts.path or "/", safe=WRITABLE)
    return path + (f"?{quote(parts.query, safe=WRITABLE)}" if parts.query else "")


def _name(target: _Target) -> str:
    """A file name for the picture: the last part of the path, or the host."""
    last = target.path.split("?")[0].rstrip("/").rsplit("/", 1)[-1]
    return unquote(last) or target.host


def _address(target: _Target, deadline: float, network: Network) -> str:
    """The IP address to connect to. Raises Refused unless every address of the host is allowed."""
    try:
        resolved = _resolving.submit(network.resolve, target.host, target.port).result(_left(deadline))
    except NotInTime:
        raise _too_slow() from None
    except (OSError, UnicodeError):
        resolved = []
    if not resolved:
        raise Refused("There is no server with that name.")
    try:
        allowed = all(network.allowed(ipaddress.ip_address(each)) for each in resolved)
    except ValueError:
        allowed = False  # an address with a zone, fe80::1%eth0
    if not allowed:
        raise Refused("That address is not on the public internet.")
    # IPv4 first: many servers have no route for the other.
    return min(resolved, key=lambda each: ":" in each)


def _get(target: _Target, limit: int, deadline: float, network: Network) -> bytes | str:
    """The content, or the URL it redirects to. Raises Refused.

    limit: maximum bytes of the content.
    """
    connection = _connection(target, _address(target, deadline, network), deadline, network)
    try:
        with contextlib.closing(connection):
            connection.connect()
            with _cut_off(connection.sock, deadline):
                headers = HEADERS | {"Host": target.host_header}
                connection.request("GET", target.path, headers=headers, preload_content=False)
                response = connection.getresponse()
                _left(deadline)
                if response.status in MOVED and response.headers.get("Location"):
                    return response.headers["Location"]
                content = _content(response, limit)
    except (HTTPError, HTTPException, OSError, ValueError):
        _left(deadline)
        raise Refused("The server at that address did not respond properly.") from None
    _left(deadline)  # without a Content-Length, a truncated body seems complete
    return content


@contextlib.contextmanager
def _cut_off(connected: socket.socket, deadline: float) -> Iterator[None]:
    """Shut a connection down at the deadline, whatever it is waiting for.

    A server that sends a byte now and then would keep each single read within its timeout for ever.
    """

    def cut() -> None:
        with contextlib.suppress(OSError):
            socket.socket.shutdown(connected, socket.SHUT_RDWR)  # not SSLSocket's own, which is for its own thread

    watch = threading.Timer(_left(deadline), cut)
    watch.daemon = True
    watch.start()
    try:
        yield
    finally:
        watch.cancel()


def _connection(target: _Target, address: str, deadline: float, network: Network) -> HTTPConnection:
    """A connection to the IP address; the certificate is verified against the host name."""
    timeout = min(CONNECT_SECONDS, _left(deadline) / 2)  # one for TCP, one for the TLS handshake
    if target.scheme == "http":
        return HTTPConnection(address, target.port, timeout=timeout)
    context = ssl.create_default_context(cafile=network.authorities)
    return HTTPSConnection(
        address,
        target.port,
        timeout=timeout,
        ssl_context=context,
        cert_reqs=ssl.CERT_REQUIRED,
        server_hostname=target.host,
        assert_hostname=target.host,
    )


def _content(response, limit: int) -> bytes:
    """The body of a response. Raises Refused if it is not a picture, or too large."""
    if response.status != 200:
        raise Refused(f"The server at that address responded with an error ({response.status}).")
    kind = response.headers.get("Content-Type", "").split(";")[0].strip().lower()
    if not kind.startswith("image/") and kind not in TYPES:
        raise Refused("There is no picture at that address. Please give the address of the picture itself.")
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Refused("The server at that address sends compressed responses, which are not accepted.")
    content = bytearray()
    for chunk in response.stream(CHUNK, decode_content=False):
        content += chunk
        if len(content) > limit:
            raise Refused(f"The picture at that address is too large: the limit is {limit >> 20} MB.")
    return bytes(content)


def _left(deadline: float) -> float:
    """Seconds until the deadline. Raises Refused if it has passed."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise _too_slow()
    return left


def _too_slow() -> Refused:
    return Refused("The server at that address took too long.")
