"""TCP peers whose byte counts and endings are known.

usage: tcp.py serve PORT [ADDRESS] [REPLY]         accepts for ever (on ::, IPv4 too); reads each connection to its end, then sends REPLY bytes
       tcp.py send ADDRESS PORT BYTES              sends BYTES, shuts down its side, reads to the end
       tcp.py drip ADDRESS PORT BYTES TIMES MS     sends BYTES, TIMES times, MS apart, on one connection
       tcp.py refused ADDRESS PORT                 expects the connection to be refused
       tcp.py reset ADDRESS PORT BYTES             sends BYTES and aborts the connection (SO_LINGER 0)
       tcp.py echo PORT [ADDRESS]                  accepts for ever (on ::, IPv4 too), and sends back what comes
       tcp.py exchange ADDRESS PORT BYTES          sends BYTES to such a server, reads as many, and holds the connection
                                                   until SIGUSR1
       tcp.py storm ADDRESS PORT TIMES             TIMES connections in a row, on which nothing is sent

The server prints "listening PORT" once it accepts; clients print what they sent and received.
"""

import signal
import socket
import ssl
import struct
import sys
import threading
import time

PIECE = b"x" * 65536


def send_exactly(connection, count):
    while count:
        piece = PIECE[: min(count, len(PIECE))]
        connection.sendall(piece)
        count -= len(piece)


def read_to_the_end(connection):
    count = 0
    while data := connection.recv(65536):
        count += len(data)
    return count


def echo_one(connection):
    with connection:
        while data := connection.recv(65536):
            connection.sendall(data)


def serve_one(connection, reply):
    with connection:
        try:
            read_to_the_end(connection)
            send_exactly(connection, reply)
        except ConnectionError:
            pass


def serve(port, address="127.0.0.1", reply="3"):
    accept_for_ever(port, address, serve_one, int(reply))


def echo(port, address="127.0.0.1"):
    accept_for_ever(port, address, echo_one)


def accept_for_ever(port, address, serve_one, *arguments):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    both = address == "::"
    with socket.create_server((address, int(port)), family=family, backlog=128, dualstack_ipv6=both) as listener:
        print("listening", listener.getsockname()[1], flush=True)
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=serve_one, args=(connection, *arguments), daemon=True).start()


def send(address, port, count):
    with socket.create_connection((address, int(port))) as connection:
        send_exactly(connection, int(count))
        connection.shutdown(socket.SHUT_WR)
        print("sent", count, "received", read_to_the_end(connection))


def drip(address, port, count, times, milliseconds):
    with socket.create_connection((address, int(port))) as connection:
        for _ in range(int(times)):
            send_exactly(connection, int(count))
            time.sleep(int(milliseconds) / 1000)
        connection.shutdown(socket.SHUT_WR)
        print("sent", int(count) * int(times), "received", read_to_the_end(connection))


def exchange(address, port, count):
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    with socket.create_connection((address, int(port))) as connection:
        sender = threading.Thread(target=send_exactly, args=(connection, int(count)))
        sender.start()
        left = int(count)
        while left:
            left -= len(connection.recv(65536))
        sender.join()
        print("exchanged", flush=True)
        signal.sigwait({signal.SIGUSR1})


def storm(address, port, times):
    for _ in range(int(times)):
        socket.create_connection((address, int(port))).close()


def refused(address, port):
    try:
        socket.create_connection((address, int(port))).close()
    except ConnectionRefusedError:
        print("refused")
    else:
        sys.exit("somebody listens there")


def reset(address, port, count):
    with socket.create_connection((address, int(port))) as connection:
        send_exactly(connection, int(count))
        # The other end reads what was sent before the reset throws it away.
        time.sleep(0.3)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        print("sent", count, "and reset")


def greet(address, port):
    """The first message of a TLS client, to a server that does not know what to do with it."""
    outgoing = ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="shop.test")
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        pass
    with socket.create_connection((address, int(port))) as connection:
        connection.sendall(outgoing.read())
        connection.shutdown(socket.SHUT_WR)
        read_to_the_end(connection)


if __name__ == "__main__":
    commands = {"serve": serve, "send": send, "drip": drip, "refused": refused, "reset": reset, "greet": greet}
    commands |= {"echo": echo, "exchange": exchange, "storm": storm}
    commands[sys.argv[1]](*sys.argv[2:])
