"""UDP peers.

usage: udp.py echo PORT [ADDRESS]              sends every datagram back
       udp.py silent PORT [ADDRESS]            reads and never answers: a name server that is down
       udp.py send ADDRESS PORT BYTES TIMES    sends TIMES datagrams of BYTES from one socket, awaiting each echo
       udp.py spread BYTES ADDRESS PORT...     sends two datagrams of BYTES to each port from one socket that is not
                                               connected, awaiting the echoes; to an IPv4 address, from an IPv6 socket
       udp.py group GROUP PORT BYTES           sends three datagrams of BYTES to a multicast group of which it is a
                                               member itself, and reads them from another socket

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


def spread(count, address, *ports):
    mapped = address if ":" in address else "::ffff:" + address
    echoes = 0
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as client:
        client.settimeout(5)
        client.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        for port in ports:
            for _ in range(2):
                client.sendto(b"u" * int(count), (mapped, int(port)))
                echoes += len(client.recv(65536)) == int(count)
    print("echoes", echoes)


def group(address, port, count):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as member:
        member.settimeout(5)
        member.bind((address, int(port)))
        loopback = socket.inet_aton("127.0.0.1")
        member.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(address) + loopback)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, loopback)
            for _ in range(3):
                sender.sendto(b"m" * int(count), (address, int(port)))
                member.recv(65536)
    print("done")


if __name__ == "__main__":
    commands = {"echo": echo, "silent": silent, "send": send, "spread": spread, "group": group}
    commands[sys.argv[1]](*sys.argv[2:])
