"""Pictures at web addresses that people give: fetched so that nobody reaches through us what is not public.

Each address, and each one it redirects to, passes the same checks: http or https on its usual port, no credentials,
and a name whose every resolved address is public. The connection then goes to one of the addresses that were checked,
so that a name which resolves differently a moment later leads nowhere else.
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

SECONDS = 15.0  # for everything, redirects included
CONNECT_SECONDS = 5.0
REDIRECTS = 5
LENGTH = 2000  # characters of an address
CHUNK = 1 << 16  # bytes
PORTS = {"http": 80, "https": 443}
TYPES = ("application/octet-stream", "binary/octet-stream")  # and image/*
MOVED = (301, 302, 303, 307, 308)
HEADERS = {
    "Accept": "image/*",
    "Accept-Encoding": "identity",  # what is packed could unpack without end
    "User-Agent": "image-search",
    "Connection": "close",
}
WRITABLE = "%/:=&?~+!$,;'@()*[]-._"  # what stays as it is in a path or a query

# IPv6 addresses that people can have, less those that stand for an IPv4 address behind a gateway.
GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
TUNNELS = [ipaddress.ip_network(net) for net in ("2001::/32", "2002::/16")]  # Teredo, 6to4
NAT64 = ipaddress.ip_network("64:ff9b::/96")

# Looking up a name cannot be interrupted; here it is at least waited for no longer than wanted.
_resolving = ThreadPoolExecutor(8, thread_name_prefix="resolving")


class Refused(Exception):
    """Why there is no picture, as one sentence for the person; never with anything that a server has sent."""


def is_public(address: IP) -> bool:
    """Whether an address belongs to the public internet, as far as can be told from the address."""
    if address.version == 6:
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if address in NAT64:
            return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        if address not in GLOBAL_UNICAST or any(address in net for net in TUNNELS):
            return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def resolve(host: str, port: int) -> list[str]:
    """All numeric addresses of a name. Raises OSError where there are none."""
    return [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


@dataclass(frozen=True)
class Network:
    """What is reached and how; tests, whose servers are on this computer, give another one."""

    resolve: Callable[[str, int], list[str]] = resolve
    allowed: Callable[[IP], bool] = is_public
    ports: frozenset[int] | None = None  # None: only the scheme's own
    authorities: str = certifi.where()  # file of the certificates that https is checked with
    seconds: float = SECONDS


PUBLIC = Network()


def fetch(address: str, settings: Settings, network: Network = PUBLIC) -> tuple[bytes, str]:
    """The content at an address, and a name for it; the content is trusted in nothing.

    settings: its `addresses` and `upload_megabytes` count. Raises Refused.
    """
    if not settings.addresses:
        raise Refused("This site does not fetch pictures from web addresses.")
    deadline = time.monotonic() + network.seconds
    for _ in range(REDIRECTS + 1):
        target = _checked(address, network)
        found = _get(target, settings.upload_megabytes << 20, deadline, network)
        if isinstance(found, bytes):
            return found, _name(target)
        try:
            address = urljoin(address, found)
        except ValueError:
            raise Refused("That address redirects to one that is not valid.") from None
    raise Refused("That address redirects too many times.")


def fetch_for_site(address: str) -> tuple[bytes, str]:
    """The same with the settings of the site that answers the present request. Raises Refused."""
    return fetch(address, current_app.extensions["settings"], current_app.config.get("NETWORK", PUBLIC))


@dataclass(frozen=True)
class _Target:
    """An address that was taken apart and found in order; its host is not resolved yet."""

    scheme: str
    host: str  # as certificates have it: lower case, IDNA, without a last dot; an IPv6 address without brackets
    port: int
    path: str  # and query

    @property
    def host_header(self) -> str:
        """The host as the Host header has it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"


def _checked(address: str, network: Network) -> _Target:
    """Take an address apart. Raises Refused where it is not one that we go to."""
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
        # Resolvers also read 0x7f000001, 2130706433, 0177.1 and the like as IP addresses; nobody writes pictures' so.
        if last.isdigit() or last.startswith("0x"):
            name = str(ipaddress.IPv4Address(name))
    except (UnicodeError, ValueError):  # IDNAError is a UnicodeError
        raise Refused("That is not a web address.") from None
    return name


def _path(parts: SplitResult) -> str:
    path = quote(parts.path or "/", safe=WRITABLE)
    return path + (f"?{quote(parts.query, safe=WRITABLE)}" if parts.query else "")


def _name(target: _Target) -> str:
    """What people call the picture: the last part of its path, or the host."""
    last = target.path.split("?")[0].rstrip("/").rsplit("/", 1)[-1]
    return unquote(last) or target.host


def _address(target: _Target, deadline: float, network: Network) -> str:
    """The numeric address to connect to. Raises Refused unless every address of the host is allowed."""
    try:
        found = _resolving.submit(network.resolve, target.host, target.port).result(_left(deadline))
    except NotInTime:
        raise _too_slow() from None
    except (OSError, UnicodeError):
        found = []
    if not found:
        raise Refused("There is no server with that name.")
    try:
        allowed = all(network.allowed(ipaddress.ip_address(each)) for each in found)
    except ValueError:
        allowed = False  # an address with a zone, fe80::1%eth0
    if not allowed:
        raise Refused("That address is not on the public internet.")
    # IPv4 first: many servers have no route for the other.
    return min(found, key=lambda each: ":" in each)


def _get(target: _Target, limit: int, deadline: float, network: Network) -> bytes | str:
    """The content, or where it redirects to. Raises Refused.

    limit: bytes of the content.
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
    _left(deadline)  # what says nothing of its length seems whole where it was cut off
    return content


@contextlib.contextmanager
def _cut_off(connected: socket.socket, deadline: float) -> Iterator[None]:
    """End whatever is waited for on a connection once it is time.

    A server that sends a byte now and then would hold each single read within its own time for ever.
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
    """To the numeric address, though certificates are checked for the host's name."""
    timeout = min(CONNECT_SECONDS, _left(deadline) / 2)  # once to connect, and once more to agree on a cipher
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
    """The body of an answer. Raises Refused where it is no picture, or too large."""
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
    """Seconds until the deadline. Raises Refused where it has passed."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise _too_slow()
    return left


def _too_slow() -> Refused:
    return Refused("The server at that address took too long.")
