"""Serves a site with waitress, and keeps clients that only hold connections open from stopping it.

Waitress accepts nobody any more once it has so many connections; here the one whose client has been silent for longest
makes room instead.
"""

import logging
import resource
import socket
from collections.abc import Callable
from dataclasses import dataclass

from waitress.channel import HTTPChannel
from waitress.server import BaseWSGIServer, create_server

IDLE_SECONDS = 30  # after which a connection without a request is closed
PRUNE_SECONDS = 5  # between two looks for such connections
CONNECTIONS = 600  # of all clients together
OF_ONE_ADDRESS = 120  # a museum's visitors may share one
OWN_FILES = 200  # that the site itself has open at most: database, collection, pictures

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Guard:
    """Makes room for a new connection where there are too many; it stands in for the class of waitress' channels."""

    connections: int = CONNECTIONS
    of_one_address: int = OF_ONE_ADDRESS

    def __call__(self, server: BaseWSGIServer, connection: socket.socket, address: tuple, adj, **options) -> None:
        open_ones = [channel for channel in options["map"].values() if isinstance(channel, HTTPChannel)]
        own = [channel for channel in open_ones if channel.addr[0] == address[0]]
        if not (_room(own, self.of_one_address) and _room(open_ones, self.connections)):
            log.warning("A connection from %s was refused: too many have a request at work.", address[0])
            connection.close()
            return
        HTTPChannel(server, connection, address, adj, **options)


def _room(channels: list[HTTPChannel], limit: int) -> bool:
    """Whether there is room for one connection more beside these.

    Where there is none, the connection is closed that has waited longest for its client, unless all have a request at
    work.
    """
    channels = [channel for channel in channels if channel.connected]
    if len(channels) < limit:
        return True
    waiting = [channel for channel in channels if not channel.requests]
    if waiting:
        min(waiting, key=_claim).handle_close()
    return bool(waiting)


def _claim(channel: HTTPChannel) -> tuple[bool, bool, float]:
    """What is closed first: what is idle; then half a request, half an answer; each the longest silent first."""
    return bool(channel.total_outbufs_len), channel.request is not None, channel.last_activity


def make(
    app: Callable,
    host: str,
    port: int,
    threads: int,
    body_bytes: int,
    proxied: bool = False,
    guard: Guard | None = None,
):
    """A server of a WSGI application, listening; `run()` serves until Ctrl-C, `close()` gives the port back.

    body_bytes: a longer request is refused before the application sees it. proxied: all connections come from a proxy,
    so that an address tells nothing. guard: other limits, for tests.
    """
    guard = guard or Guard(of_one_address=CONNECTIONS if proxied else OF_ONE_ADDRESS)
    _allow_open_files(guard.connections + OWN_FILES)
    sockets: dict = {}
    server = create_server(
        app,
        map=sockets,
        host=host,
        port=port,
        threads=threads,
        max_request_body_size=body_bytes,
        connection_limit=guard.connections + OWN_FILES,  # never reached: the guard comes first
        channel_timeout=IDLE_SECONDS,
        cleanup_interval=PRUNE_SECONDS,
        asyncore_use_poll=True,  # select() knows 1024 files
        ident=None,
    )
    for listening in sockets.values():  # a host name may stand for several addresses
        if isinstance(listening, BaseWSGIServer):
            listening.channel_class = guard  # type: ignore[assignment]  # which is called like the class
    return server


def _allow_open_files(count: int) -> None:
    """Raise this process' limit of open files to so many, as far as that is allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
