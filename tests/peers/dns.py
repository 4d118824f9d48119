"""DNS clients that say what they ask byte by byte.

usage: dns.py repeat PORT NAME TIMES MS       sends one query TIMES times, MS apart, from one socket, and awaits nothing
       dns.py update PORT ZONE NAME ADDRESS   asks to add an address to a zone and awaits the response
       dns.py visit PORT PEER_PORT NAME...    for each NAME asks for its address and connects to PEER_PORT there, and closes
                                              all connections at the end

The server is at 127.0.0.1.
"""

import socket
import struct
import sys
import time

A, SOA = 1, 6
IN = 1
UPDATE = 5 << 11
RECURSION_DESIRED = 0x0100


def encoded(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def header(identifier, flags, *counts):
    return struct.pack(">6H", identifier, flags, *counts)


def question(name, kind=A):
    return encoded(name) + struct.pack(">2H", kind, IN)


def record(name, kind, of_class, ttl, data):
    return encoded(name) + struct.pack(">2HIH", kind, of_class, ttl, len(data)) + data


def asking(port):
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.settimeout(5)
    client.connect(("127.0.0.1", int(port)))
    return client


def repeat(port, name, times, pause):
    with asking(port) as client:
        for turn in range(int(times)):
            if turn:
                time.sleep(int(pause) / 1000)
            client.send(header(7, RECURSION_DESIRED, 1, 0, 0, 0) + question(name))


def update(port, zone, name, address):
    added = record(name, A, IN, 60, socket.inet_aton(address))
    with asking(port) as client:
        client.send(header(9, UPDATE, 1, 0, 1, 0) + question(zone, SOA) + added)
        client.recv(65536)


def address_of(port, name):
    """The address at the end of the response: dnsmasq puts it behind the aliases."""
    with asking(port) as client:
        client.send(header(10, RECURSION_DESIRED, 1, 0, 0, 0) + question(name))
        return socket.inet_ntoa(client.recv(65536)[-4:])


def visit(port, peer_port, *names):
    connections = []
    for name in names:
        peer = (address_of(port, name), int(peer_port))
        connections.append(socket.create_connection(peer))
        print(name, "is", *peer)
    for connection in connections:
        connection.close()


if __name__ == "__main__":
    commands = {"repeat": repeat, "update": update, "visit": visit}
    commands[sys.argv[1]](*sys.argv[2:])
