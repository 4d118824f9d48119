"""HTTP/1.1 server whose timing and framing the caller chooses.

usage: app.py PORT [ADDRESS]

GET  /wait?head_ms=A&body_ms=B   waits A before the status line and B more before the last byte of the body
GET  /chunked?chunks=N&size=S    N chunks of S bytes, Transfer-Encoding: chunked
POST /echo                       answers with the number of body bytes it read (Content-Length or chunked)
GET  /status/NNN                 answers with that status
GET  /drop                       closes the connection without an answer
anything else                    200 and a few bytes

Prints "listening PORT" once it accepts.
"""

import socket
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


class App(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self):
        super().setup()
        # Headers and body leave in one write each; Nagle would add waits nobody asked for.
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def log_message(self, *_):
        pass

    def number(self, name, default=0):
        values = parse_qs(urlsplit(self.path).query).get(name)
        return int(values[0]) if values else default

    def answer(self, status, body=b"", before_last_byte=0.0):
        if status in (204, 304):
            # They have none, and a client that goes away meanwhile would see more or less of it.
            body = b""
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if before_last_byte:
            self.wfile.write(body[:-1])
            self.wfile.flush()
            time.sleep(before_last_byte)
            body = body[-1:]
        self.wfile.write(body)

    def do_GET(self):
        path = urlsplit(self.path).path
        if path == "/wait":
            time.sleep(self.number("head_ms") / 1000)
            self.answer(200, b"waited\n", self.number("body_ms") / 1000)
        elif path == "/chunked":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            size = self.number("size", 10)
            for _ in range(self.number("chunks", 3)):
                self.wfile.write(b"%x\r\n" % size + b"c" * size + b"\r\n")
            self.wfile.write(b"0\r\n\r\n")
        elif path.startswith("/status/"):
            self.answer(int(path.rsplit("/", 1)[1]), b"as told\n")
        elif path == "/drop":
            self.close_connection = True
        else:
            self.answer(200, b"hello\n")

    do_HEAD = do_GET

    def do_POST(self):
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            length = 0
            while size := int(self.rfile.readline().split(b";")[0], 16):
                length += len(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
        else:
            left = length = int(self.headers.get("Content-Length", 0))
            while left:
                left -= len(self.rfile.read(min(left, 65536)))
        self.answer(200, b"%d\n" % length)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    # What a load test opens at once must not be refused.
    request_queue_size = 128


def main():
    address = sys.argv[2] if len(sys.argv) > 2 else "127.0.0.1"
    Server.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
    server = Server((address, int(sys.argv[1])), App)
    print("listening", server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
