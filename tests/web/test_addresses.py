"""Fetching pictures from web addresses: what is fetched, and all that must not be."""

import ipaddress
import socket
import ssl
import threading
import time
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from config import Settings
from web.addresses import Network, Refused, fetch, is_public

SETTINGS = replace(Settings(), addresses=True, upload_megabytes=1)
PICTURE = b"\xff\xd8 as far as this goes, a picture"


class Pages(BaseHTTPRequestHandler):
    """/picture, /html, /forever, /redirect?TO, /large, /unsized, /drip, /slow-header, /cut, /packed, /missing."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.seen.append((self.path, dict(self.headers)))
        name, _, rest = self.path.lstrip("/").partition("?")
        getattr(self, name.replace("-", "_").split("/")[0])(rest)

    def answer(self, content=PICTURE, status=200, length=True, **headers):
        self.send_response(status)
        for header, value in ({"Content_Type": "image/jpeg"} | headers).items():
            self.send_header(header.replace("_", "-"), value)
        if length:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def picture(self, _rest):
        self.answer()

    def html(self, _rest):
        self.answer(b"<secret>", Content_Type="text/html")

    def bytes(self, _rest):
        self.answer(Content_Type="application/octet-stream")

    def missing(self, _rest):
        self.answer(b"secret", status=404)

    def redirect(self, to):
        self.answer(b"", status=302, Location=to)

    def forever(self, _rest):
        self.redirect("/forever")

    def large(self, _rest):
        self.answer(b"x" * ((1 << 20) + 1))

    def unsized(self, _rest):
        self.close_connection = True
        self.answer(b"", length=False)
        for _ in range(64):
            self.wfile.write(b"x" * (1 << 16))

    def packed(self, _rest):
        self.answer(Content_Encoding="gzip")

    def cut(self, _rest):
        self.close_connection = True
        self.answer(PICTURE, length=False, Content_Length="1000")

    def drip(self, _rest):
        self.close_connection = True
        self.answer(b"", length=False)
        self._drip(b"x")

    def slow_header(self, _rest):
        self.close_connection = True
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        self._drip(b"x")

    def _drip(self, drop):
        while not self.server.ended.wait(0.05):
            try:
                self.wfile.write(drop)
            except OSError:
                return

    def log_message(self, *_):
        pass


@pytest.fixture
def serve_pages():
    """serve_pages(context=None): a running server of Pages on loopback, with https where it gets a context."""
    servers = []

    def start(context=None):
        server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
        server.daemon_threads = True
        server.seen, server.ended = [], threading.Event()
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.ended.set()
        server.shutdown()
        server.server_close()


@pytest.fixture
def server(serve_pages):
    return serve_pages()


@pytest.fixture
def local(server) -> Network:
    """A network on which this server, and nothing else of this computer, is public."""
    return Network(
        resolve=lambda host, port: ["127.0.0.1"] if host == "museum.example" else [host],
        allowed=lambda ip: is_public(ip) or str(ip) == "127.0.0.1",
        ports=frozenset({server.server_port, 80}),
    )


def get(server, path: str, network: Network, host: str = "museum.example"):
    return fetch(f"http://{host}:{server.server_port}{path}", SETTINGS, network)


def test_a_picture_is_fetched_with_its_name(server, local):
    assert get(server, "/picture/The%20sea.jpg", local) == (PICTURE, "The sea.jpg")
    assert get(server, "/picture/sea.jpg?size=large#top", local) == (PICTURE, "sea.jpg")
    assert get(server, "/bytes", local) == (PICTURE, "bytes")
    path, headers = server.seen[1]
    assert path == "/picture/sea.jpg?size=large"
    assert headers["Host"] == f"museum.example:{server.server_port}"
    assert headers["Accept-Encoding"] == "identity"


def test_letters_of_all_scripts_may_stand_in_an_address(server, local):
    network = replace(local, resolve=lambda host, port: ["127.0.0.1"] if host == "xn--mnchen-3ya.example" else [])
    assert get(server, "/picture/Gemälde.jpg", network, host="MÜNCHEN.example")[1] == "Gemälde.jpg"
    assert server.seen[0][0] == "/picture/Gem%C3%A4lde.jpg"


def test_redirects_are_followed_also_relative_ones(server, local):
    assert get(server, "/redirect?/redirect?/picture", local) == (PICTURE, "picture")


def test_redirects_without_end_are_refused(server, local):
    with pytest.raises(Refused, match="too many times"):
        get(server, "/forever", local)
    assert len(server.seen) == 6


@pytest.mark.parametrize(
    "to",
    [
        "http://127.0.0.2/picture",
        "http://10.0.0.1/picture",
        "http://[::1]/picture",
        "http://169.254.169.254/latest/meta-data",
        "http://inner.example/picture",
    ],
)
def test_a_redirect_to_what_is_not_public_is_refused(server, local, to):
    network = replace(local, resolve=lambda host, port: {"museum.example": ["127.0.0.1"]}.get(host, [host]))
    network = replace(
        network, resolve=lambda host, port, was=network.resolve: ["192.168.0.7"] if "inner" in host else was(host, port)
    )
    with pytest.raises(Refused, match="not on the public internet"):
        get(server, f"/redirect?{to}", network)
    assert len(server.seen) == 1


@pytest.mark.parametrize("to", ["file:///etc/passwd", "ftp://museum.example/a.jpg", "gopher://museum.example", "//"])
def test_a_redirect_to_another_scheme_is_refused(server, local, to):
    with pytest.raises(Refused):
        get(server, f"/redirect?{to}", local)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "museum.example/a.jpg",
        "file:///etc/passwd",
        "ftp://museum.example/a.jpg",
        "data:image/png;base64,AAAA",
        "javascript:alert(1)",
        "http://",
        "http:///etc/passwd",
        "http://user@museum.example/",
        "http://user:secret@museum.example/",
        "http://museum.example@127.0.0.1/",
        "http://@127.0.0.1/",
        "http://museum.example:0/",
        "http://museum.example:22/",
        "http://museum.example:443/",
        "https://museum.example:80/",
        "http://museum.example:99999/",
        "http://museum.example:port/",
        "http://museum.example\\@127.0.0.1/",
        "http://museum.example/\r\nX-Header: 1",
        "http://museum.example/a b",
        "http://museum.example\x00.local/",
        "http://[::1/",
        "http://[fe80::1%25eth0]/",
        "http://[::ffff:127.0.0.1%25lo]/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0x7f.1/",
        "http://127.0.0.0x1/",
        "http://0177.0.0.1/",
        "http://127.1/",
        "http://127.0.0.1./x" * 200,
        "http://-museum..example/",
        "http://" + "a" * 64 + ".example/",
    ],
)
def test_what_is_no_proper_address_is_refused_before_anything_is_looked_up(address):
    def resolve(host, port):
        raise AssertionError(f"{host} was looked up")

    with pytest.raises(Refused):
        fetch(address, SETTINGS, Network(resolve=resolve))


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost.",
        "LOCALHOST",
        "127.0.0.1",
        "127.0.0.1.",
        "127.255.0.3",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "168.63.129.16",
        "192.0.0.192",
        "[::ffff:168.63.129.16]",
        "100.64.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "①②⑦.⓪.⓪.①",
        "127。0。0。1",
        "[::]",
        "[::1]",
        "[::127.0.0.1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[fe80::1]",
        "[fc00::1]",
        "[fec0::1]",
        "[ff02::1]",
        "[2002:7f00:1::]",
        "[2002:808:808::]",
        "[2001:0:808:808::1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b::a00:1]",
        "[64:ff9b:1::808:808]",
        "[2001:db8::1]",
        "[100::1]",
    ],
)
def test_what_is_not_public_is_refused_in_every_spelling(host):
    with pytest.raises(Refused, match="not on the public internet"):
        fetch(f"http://{host}/", SETTINGS)


@pytest.mark.parametrize("address", ["8.8.8.8", "2a00:1450:4001:80b::200e", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_what_is_public_is_known(address):
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("addresses", [["8.8.8.8", "127.0.0.1"], ["2a00:1450::1", "::1"], ["8.8.8.8", "fe80::1%eth0"]])
def test_one_private_address_among_others_is_enough_to_refuse(addresses):
    with pytest.raises(Refused, match="not on the public internet"):
        fetch("http://museum.example/", SETTINGS, Network(resolve=lambda host, port: addresses))


def test_a_name_is_looked_up_once_and_the_connection_goes_to_what_was_checked(server, local):
    """Re-binding: a second look-up would lead to this computer's secret."""
    answers = iter([["127.0.0.1"], ["127.0.0.66"]])
    network = replace(local, resolve=lambda host, port: next(answers))
    assert get(server, "/picture", network)[0] == PICTURE
    assert next(answers) == ["127.0.0.66"]
    assert len(server.seen) == 1


def test_each_redirect_is_looked_up_and_checked_anew(server, local):
    answers = iter([["127.0.0.1"], ["10.0.0.1"]])
    with pytest.raises(Refused, match="not on the public internet"):
        get(server, "/redirect?/picture", replace(local, resolve=lambda host, port: next(answers)))
    assert len(server.seen) == 1


def test_an_unknown_name_is_refused(local):
    def unknown(host, port):
        raise socket.gaierror("no such name")

    with pytest.raises(Refused, match="no server with that name"):
        fetch("http://museum.example/", SETTINGS, replace(local, resolve=unknown))
    with pytest.raises(Refused, match="no server with that name"):
        fetch("http://museum.example/", SETTINGS, replace(local, resolve=lambda host, port: []))


def test_proxies_of_the_environment_are_not_used(server, local, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert get(server, "/picture", local)[0] == PICTURE


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("/html", "no picture at that address"),
        ("/missing", r"error \(404\)"),
        ("/large", "too large: the limit is 1 MB"),
        ("/unsized", "too large: the limit is 1 MB"),
        ("/packed", "compressed responses"),
        ("/cut", "did not respond properly"),
    ],
)
def test_what_is_no_picture_is_refused_and_not_repeated(server, local, path, sentence):
    with pytest.raises(Refused, match=sentence) as problem:
        get(server, path, local)
    assert "secret" not in str(problem.value)


@pytest.mark.parametrize("path", ["/drip", "/slow-header"])
def test_a_server_that_drips_is_left_in_time(server, local, path):
    started = time.monotonic()
    with pytest.raises(Refused, match="took too long"):
        get(server, path, replace(local, seconds=0.5))
    assert time.monotonic() - started < 3


def test_a_look_up_without_end_is_left_in_time(local):
    ended = threading.Event()
    with pytest.raises(Refused, match="took too long"):
        fetch("http://museum.example/", SETTINGS, replace(local, seconds=0.2, resolve=lambda *_: ended.wait(20)))
    ended.set()


def test_a_server_that_is_not_there_or_talks_nonsense_is_refused(local):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        network = replace(local, ports=frozenset({port}))

        def talk():
            connection, _ = listening.accept()
            connection.sendall(b"SSH-2.0-nonsense\r\n\r\n")
            connection.close()

        threading.Thread(target=talk, daemon=True).start()
        with pytest.raises(Refused, match="did not respond properly"):
            fetch(f"http://museum.example:{port}/", SETTINGS, network)
    with pytest.raises(Refused, match="did not respond properly"):
        fetch(f"http://museum.example:{port}/", SETTINGS, network)


def test_where_the_setting_is_off_nothing_is_fetched(server, local):
    with pytest.raises(Refused, match="does not fetch"):
        fetch(f"http://museum.example:{server.server_port}/picture", replace(SETTINGS, addresses=False), local)
    assert server.seen == []


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """(file of an authority, server context) for museum.example."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "museum.example")])
    day = datetime.now(timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(day - timedelta(days=1))
        .not_valid_after(day + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("museum.example")]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("certificates")
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    return str(folder / "certificate.pem"), context


def test_https_is_checked_for_the_name_though_the_connection_goes_to_a_number(serve_pages, local, certificates):
    authorities, context = certificates
    server = serve_pages(context)
    network = replace(local, ports=frozenset({server.server_port}), authorities=authorities)
    network = replace(network, resolve=lambda host, port: ["127.0.0.1"])
    assert fetch(f"https://museum.example:{server.server_port}/picture", SETTINGS, network)[0] == PICTURE
    for its, host in (
        (network, "other.example"),  # another name
        (replace(network, authorities=Network().authorities), "museum.example"),  # an authority nobody knows
    ):
        with pytest.raises(Refused, match="did not respond properly"):
            fetch(f"https://{host}:{server.server_port}/picture", SETTINGS, its)
    assert len(server.seen) == 1
