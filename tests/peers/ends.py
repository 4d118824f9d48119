"""TCP connections that end, or begin, in unusual ways.

usage: ends.py serve PORT HOW [ADDRESS]    accepts for ever and does HOW with each connection:
           finish-first   sends 10 bytes and its FIN, then reads to the end
           close-unread   closes when something has come, without reading it
           reset          reads to the end of the other side, then aborts (SO_LINGER 0)
           silent         never accepts
           child          a child process reads to the end and sends 3 bytes; the process that accepted closes at once
       ends.py client ADDRESS PORT HOW     makes one connection:
           after-fin      reads to the end of the other side, then sends 1000 bytes and closes
           send           sends 1000 bytes, and reads to the end or the reset
           finish         sends 1000 bytes and its FIN, and reads to the end or the reset
           finish-reset   sends 1000 bytes and its FIN, waits a little, and aborts (SO_LINGER 0)
           hold           sends 1000 bytes, waits for SIGUSR1, sends 500 more and its FIN, reads to the end
       ends.py again ADDRESS PORT FROM     three connections in a row, all from the port FROM, of 100, 200 and 300 bytes
       ends.py attempt ADDRESS PORT MS     tries to connect for so long, and says how that ended
       ends.py together FROM PORT ADDRESS PEER_PORT AT
                                           connects at that time of day, to a peer that does the same; sends 100 bytes
       ends.py ping ADDRESS COUNT          as ping(8) does, with a socket for ICMP echo; prints the number of replies

Servers print "listening PORT"; clients print what they sent, or how it ended.
"""

import os
import select
import signal
import socket
import struct
import sys
import threading
import time

ABORT = struct.pack("ii", 1, 0)


def abort(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
    connection.close()


def read_to_the_end(connection):
    count = 0
    try:
        while data := connection.recv(65536):
            count += len(data)
    except ConnectionError as error:
        print("failed", type(error).__name__)
    return count


def serve_one(connection, how):
    if how == "finish-first":
        connection.sendall(b"f" * 10)
        connection.shutdown(socket.SHUT_WR)
        read_to_the_end(connection)
        connection.close()
    elif how == "close-unread":
        select.select([connection], [], [])
        # All of it has come by then.
        time.sleep(0.2)
        connection.close()
    elif how == "reset":
        read_to_the_end(connection)
        abort(connection)
    elif how == "child":
        if os.fork() == 0:
            read_to_the_end(connection)
            connection.sendall(b"ccc")
            os._exit(0)
        connection.close()


def serve(port, how, address="127.0.0.1"):
    backlog = 0 if how == "silent" else 64
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, int(port)), family=family, backlog=backlog) as listener:
        print("listening", port, flush=True)
        if how == "silent":
            threading.Event().wait()
        while True:
            connection, _ = listener.accept()
            if how == "child":
                serve_one(connection, how)
            else:
                threading.Thread(target=serve_one, args=(connection, how), daemon=True).start()


def client(address, port, how):
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    connection = socket.create_connection((address, int(port)))
    if how == "after-fin":
        read_to_the_end(connection)
        connection.sendall(b"a" * 1000)
    else:
        connection.sendall(b"c" * 1000)
    if how == "hold":
        print("holding", flush=True)
        signal.sigwait({signal.SIGUSR1})
        connection.sendall(b"h" * 500)
    if how.startswith("finish") or how == "hold":
        connection.shutdown(socket.SHUT_WR)
    if how == "finish-reset":
        time.sleep(0.3)
        abort(connection)
        return
    if how != "after-fin":
        read_to_the_end(connection)
    connection.close()
    print("done")


def again(address, port, source):
    for count in [100, 200, 300]:
        with socket.socket() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            connection.bind(("", int(source)))
            connection.connect((address, int(port)))
            connection.sendall(b"a" * count)
            connection.shutdown(socket.SHUT_WR)
            read_to_the_end(connection)
        # Let the last acknowledgment pass.
        time.sleep(0.05)
    print("done")


def attempt(address, port, milliseconds):
    try:
        socket.create_connection((address, int(port)), int(milliseconds) / 1000).close()
    except OSError as error:
        print(type(error).__name__, error)
    else:
        print("connected")


def together(source, port, address, peer_port, at):
    connection = socket.socket()
    connection.bind((source, int(port)))
    time.sleep(max(0, float(at) - time.time()))
    connection.connect((address, int(peer_port)))
    connection.sendall(b"t" * 100)
    connection.shutdown(socket.SHUT_WR)
    print("received", read_to_the_end(connection))


def ping(address, count):
    family, protocol, request = socket.AF_INET, socket.IPPROTO_ICMP, 8
    if ":" in address:
        family, protocol, request = socket.AF_INET6, socket.getprotobyname("ipv6-icmp"), 128
    replies = 0
    with socket.socket(family, socket.SOCK_RAW, protocol) as echo:
        echo.settimeout(2)
        identifier = os.getpid() & 0xFFFF
        for number in range(int(count)):
            message = struct.pack("!BBHHH", request, 0, 0, identifier, number) + b"p" * 56
            if family == socket.AF_INET:
                words = sum(struct.unpack("!32H", message))
                words = (words & 0xFFFF) + (words >> 16)
                checksum = ~((words & 0xFFFF) + (words >> 16)) & 0xFFFF
                message = message[:2] + struct.pack("!H", checksum) + message[4:]
            echo.sendto(message, (address, 0))
            while True:
                answer = echo.recv(2048)
                if family == socket.AF_INET:
                    answer = answer[(answer[0] & 15) * 4 :]
                kind, _, _, of, reply = struct.unpack("!BBHHH", answer[:8])
                if (kind, of, reply) == (0 if request == 8 else 129, identifier, number):
                    replies += 1
                    break
    print("replies", replies)


if __name__ == "__main__":
    commands = {
        "serve": serve,
        "client": client,
        "again": again,
        "attempt": attempt,
        "together": together,
        "ping": ping,
    }
    commands[sys.argv[1]](*sys.argv[2:])
