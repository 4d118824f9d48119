"""HTTP/1.1 client that asks again and again over one connection, some twenty times a second, until it is ended.

usage: paced.py ADDRESS PORT PATH
"""

import http.client
import signal
import sys
import time

address, port, path = sys.argv[1], int(sys.argv[2]), sys.argv[3]
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
connection = http.client.HTTPConnection(address, port)
while True:
    connection.request("GET", path, headers={"User-Agent": "weir-peer"})
    connection.getresponse().read()
    time.sleep(0.05)
