"""An HTTP server that says how long it took, by its own clock, and a client of it.

usage: timed.py serve PORT                   answers each request after a while, between 0.1 and 2 ms; its header
                                             x-served-ns tells the nanoseconds from the end of recv(2) to just before
                                             send(2)
       timed.py ask ADDRESS PORT TIMES MS    asks so often on one connection, MS apart

The server prints "listening PORT" once it accepts.
"""

import socket
import sys
import time


def serve(port):
    with socket.create_server(("127.0.0.1", int(port))) as listener:
        print("listening", port, flush=True)
        while True:
            connection, _ = listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            number = 0
            request = bytearray(4096)
            while connection.recv_into(request):
                received = time.monotonic_ns()
                number += 1
                until = received + 100_000 + number * 7919 % 1_900_000
                while time.monotonic_ns() < until:
                    pass
                answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Served-Ns: %d\r\n\r\nok"
                connection.send(answer % (time.monotonic_ns() - received))
            connection.close()


def ask(address, port, times, milliseconds):
    request = b"GET /timed HTTP/1.1\r\nHost: timed\r\n\r\n"
    with socket.create_connection((address, int(port))) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        response = bytearray(4096)
        for _ in range(int(times)):
            connection.send(request)
            connection.recv_into(response)
            time.sleep(int(milliseconds) / 1000)
    print("asked", times)


if __name__ == "__main__":
    commands = {"serve": serve, "ask": ask}
    commands[sys.argv[1]](*sys.argv[2:])
