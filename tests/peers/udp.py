"""UDP peers.

usage: udp.py echo PORT [ADDRESS]              sends every datagram back
       udp.py silent PORT [ADDRESS]            reads and never answers: a name server that is down
       udp.py send ADDRESS PORT BYTES TIMES    sends TIMES datagrams of BYTES from one socket, awaiting each echo

Servers print "listening PORT" once they are bound; the client prints how many echoes came.
"""

import socket
import sys


def bound(port, address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    server = socket.socket(family, socket.SOCK_DGRAM)
    server.bind((address, int(port)))
    print("listening", server.getsockname()[1], flush=True)
    return server


def echo(port, address="127.0.0.1"):
    server = bound(port, address)
    while True:
        data, sender = server.recvfrom(65536)
        server.sendto(data, sender)


def silent(port, address="127.0.0.1"):
    server = bound(port, address)
    while True:
        server.recvfrom(65536)


def send(address, port, count, times):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    echoes = 0
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        client.settimeout(5)
        client.connect((address, int(port)))
        for _ in range(int(times)):
            client.send(b"u" * int(count))
            echoes += len(client.recv(65536)) == int(count)
    print("echoes", echoes)


if __name__ == "__main__":
    commands = {"echo": echo, "silent": silent, "send": send}
    commands[sys.argv[1]](*sys.argv[2:])
