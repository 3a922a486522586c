"""A server on 127.0.0.1 that misbehaves as it is told, and the pictures it serves."""

import io
from http.server import BaseHTTPRequestHandler

from PIL import Image


def picture(colour: str, kind: str = "JPEG") -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (64, 48), colour).save(data, kind)
    return data.getvalue()


RED, BLUE = picture("red"), picture("blue", "PNG")


# What the server can do; each takes the request's handler.


def give(data: bytes, status: int = 200, **headers: str):
    def answer(handler):
        handler.send_response(status)
        for name, value in ({"Content_Length": str(len(data))} | headers).items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(data)

    return answer


def break_off(handler):
    """Announce the whole picture, send half of it and hang up."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(RED)))
    handler.end_headers()
    handler.wfile.write(RED[: len(RED) // 2])


def hang_up(handler):
    """No answer at all."""


def endless(handler):
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(RED)
    while True:
        handler.wfile.write(bytes(1 << 20))


def drip(handler):
    """Half a picture, then nothing until the server stops."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(RED)))
    handler.end_headers()
    handler.wfile.write(RED[: len(RED) // 2])
    handler.wfile.flush()
    handler.server.dripping.set()
    handler.server.stop.wait(20)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        with server.lock:
            server.asked.append(self.path)
            server.headers.append((self.path, dict(self.headers)))
            server.agents.add(self.headers["User-Agent"])
            server.in_flight += 1
            server.most_in_flight = max(server.most_in_flight, server.in_flight)
            todo = server.answers.get(self.path, [give(b"not here", 404)])
            answer = todo.pop(0) if len(todo) > 1 else todo[0]  # the last one is repeated
        try:
            answer(self)
        except (BrokenPipeError, ConnectionResetError):
            pass
        finally:
            with server.lock:
                server.in_flight -= 1

    def log_message(self, *_):
        pass
