"""Sends valid-looking garbage: beginnings of HTTP on many connections, DNS-like datagrams from many ports.

usage: storm.py CONNECTIONS DATAGRAMS

Prints how many it sent once all are sent, and then keeps the connections open until it is ended.
"""

import os
import random
import socket
import sys
import threading
import time

connections, datagrams = int(sys.argv[1]), int(sys.argv[2])
random.seed(7)
listener = socket.create_server(("127.0.0.1", 0), backlog=512)
accepted = []


def accept():
    while True:
        connection, _ = listener.accept()
        accepted.append(connection)


threading.Thread(target=accept, daemon=True).start()
heads = [
    lambda: b"GET /" + os.urandom(20).hex().encode(),
    lambda: b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n" + os.urandom(200),
    lambda: b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n" + os.urandom(300),
    lambda: b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * random.randrange(200),
    lambda: b"GET / HTTP/1.1\r\n" + b"a: " + os.urandom(3000).hex().encode(),
    lambda: b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 50,
    lambda: b"!#$%&'*+-.^_`|~ / HTTP/1.1\r\n\r\n",
]
kept = []
for number in range(connections):
    client = socket.create_connection(listener.getsockname())
    client.sendall(heads[number % len(heads)]())
    kept.append(client)
    if len(kept) > 300:
        kept.pop(0).close()
        if accepted:
            accepted.pop(0).close()
sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sink.bind(("127.0.0.1", 0))
for number in range(datagrams):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        header = random.randrange(65536).to_bytes(2) + bytes([1, 0, 0, 1, 0, 0, 0, 0, 0, 0])
        client.sendto(header + os.urandom(random.randrange(5, 200)), sink.getsockname())
print("sent", connections, datagrams, flush=True)
time.sleep(600)
