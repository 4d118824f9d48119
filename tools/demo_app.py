"""The little web shop behind nginx in `make demo`: quick, slow and failing routes.

usage: demo_app.py PORT
"""

import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Shop(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        _, _, kind, *rest = self.path.split("?")[0].split("/") + [""]
        number = int(rest[0]) if rest and rest[0].isdigit() else 0
        if kind == "orders":
            time.sleep(0.02 + number % 7 * 0.01)
        elif kind == "reports":
            time.sleep(0.4)
        elif kind == "payments" and number % 3 == 0:
            self.answer(502, b'{"error": "the bank does not answer"}')
            return
        self.answer(200, b'{"kind": "%s", "number": %d}' % (kind.encode(), number))

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.answer(201, b'{"created": true}')


if __name__ == "__main__":
    print("listening", sys.argv[1], flush=True)
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Shop).serve_forever()
