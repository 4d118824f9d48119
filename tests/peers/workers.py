"""HTTP server whose connections are served in the ways that servers have; each answer's body is the id of the process
that wrote it.

usage: workers.py prefork PORT    workers made beforehand accept from the socket on which their parent listens
       workers.py fork PORT       the listener accepts, and a child made for the connection answers and ends
       workers.py pass PORT       the listener accepts and passes the connection over a Unix socket to another process
       workers.py threads PORT    a thread for each connection
       workers.py exec PORT       as fork, but the child executes /bin/sh, as inetd does
       workers.py clients PORT N  forks N children, each of which makes one request and ends

Servers print "listening PORT" once they accept.
"""

import array
import os
import signal
import socket
import sys
import threading

WORKERS = 3


def read_request(connection):
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(4096)
        if not more:
            return False
        data += more
    return True


def serve(connection):
    with connection:
        if read_request(connection):
            body = b"%d" % os.getpid()
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))


def prefork(listener):
    for _ in range(WORKERS):
        if os.fork() == 0:
            while True:
                serve(listener.accept()[0])
    return lambda: signal.pause()


def fork(listener):
    def one():
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            serve(connection)
            os._exit(0)
        connection.close()

    return one


def execute(listener):
    answer = r'body=$$; printf "HTTP/1.1 200 OK\r\nContent-Length: ${#body}\r\n\r\n$body"; read -r end'

    def one():
        connection, _ = listener.accept()
        if os.fork() == 0:
            read_request(connection)
            os.dup2(connection.fileno(), 0)
            os.dup2(connection.fileno(), 1)
            os.execv("/bin/sh", ["sh", "-c", answer])
        connection.close()

    return one


def pass_on(listener):
    here, there = socket.socketpair()
    if os.fork() == 0:
        while True:
            _, ancillary, _, _ = there.recvmsg(1, socket.CMSG_LEN(array.array("i").itemsize))
            descriptors = array.array("i")
            descriptors.frombytes(ancillary[0][2])
            serve(socket.socket(fileno=descriptors[0]))

    def one():
        connection, _ = listener.accept()
        socket.send_fds(here, [b"c"], [connection.fileno()])
        connection.close()

    return one


def threads(listener):
    return lambda: threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()


def clients(port, count):
    for _ in range(count):
        if os.fork() == 0:
            with socket.create_connection(("127.0.0.1", port)) as connection:
                connection.sendall(b"GET /short HTTP/1.1\r\nHost: a.test\r\n\r\n")
                while connection.recv(4096):
                    pass
            os._exit(0)
        # Not so many at a time that connections are refused.
        os.wait()


def main():
    how, port = sys.argv[1], int(sys.argv[2])
    if how == "clients":
        clients(port, int(sys.argv[3]))
        return
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listener = socket.create_server(("127.0.0.1", port), backlog=128)
    one = {"prefork": prefork, "fork": fork, "pass": pass_on, "threads": threads, "exec": execute}[how](listener)
    print("listening", port, flush=True)
    while True:
        one()


if __name__ == "__main__":
    main()
