"""Plays exchanges of raw bytes between a client and a server of its own, each on a connection of its own.

usage: exchanges.py FILE PORT

FILE is JSON: a list of [request, response] in hexadecimal. The server answers once the client has sent all it has to; what it
does not understand matters to neither.
"""

import json
import socket
import sys
import threading

file, port = sys.argv[1], int(sys.argv[2])
with open(file) as content:
    exchanges = [tuple(bytes.fromhex(part) for part in pair) for pair in json.load(content)]

server = socket.create_server(("127.0.0.1", port))


def serve():
    for request, response in exchanges:
        peer, _ = server.accept()
        with peer:
            received = 0
            while received < len(request):
                data = peer.recv(65536)
                if not data:
                    break
                received += len(data)
            peer.sendall(response)
            peer.shutdown(socket.SHUT_WR)
            while peer.recv(65536):
                pass


thread = threading.Thread(target=serve)
thread.start()
for request, response in exchanges:
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(request)
        while client.recv(65536):
            pass
        client.shutdown(socket.SHUT_WR)
thread.join()
print("played", len(exchanges), flush=True)
