"""HTTP/1.1 client: COUNT GET requests for PATH over one connection.

usage: http_client.py ADDRESS PORT PATH COUNT [pipelined | typed]

Plain: one after the other, through http.client. "pipelined": all requests in one send, then all answers are read. "typed": each
byte of a request in a segment of its own.
Prints one status code a line.
"""

import http.client
import socket
import sys


def one_after_the_other(address, port, path, count):
    connection = http.client.HTTPConnection(address, port)
    for _ in range(count):
        connection.request("GET", path, headers={"User-Agent": "weir-peer"})
        response = connection.getresponse()
        response.read()
        print(response.status)
    connection.close()


class Unclosed(http.client.HTTPResponse):
    """Reads one response from a shared reader and leaves the reader open for the next one."""

    def __init__(self, reader):
        self.reader = reader
        super().__init__(self)

    def makefile(self, _mode):
        return self.reader

    def _close_conn(self):
        self.fp = None


def pipelined(address, port, path, count):
    request = f"GET {path} HTTP/1.1\r\nHost: {address}:{port}\r\nUser-Agent: weir-peer\r\n\r\n".encode()
    with socket.create_connection((address, port)) as connection:
        connection.sendall(request * count)
        reader = connection.makefile("rb")
        for _ in range(count):
            response = Unclosed(reader)
            response.begin()
            response.read()
            print(response.status)


def typed(address, port, path, count):
    request = f"GET {path} HTTP/1.1\r\nHost: {address}:{port}\r\nUser-Agent: weir-peer\r\n\r\n".encode()
    with socket.create_connection((address, port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        reader = connection.makefile("rb")
        for _ in range(count):
            for byte in request:
                connection.sendall(bytes([byte]))
            response = Unclosed(reader)
            response.begin()
            response.read()
            print(response.status)


def main():
    address, port, path, count = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    ways = {"": one_after_the_other, "pipelined": pipelined, "typed": typed}
    run = ways["".join(sys.argv[5:])]
    run(address, port, path, count)


if __name__ == "__main__":
    main()
