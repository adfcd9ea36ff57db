"""The Tenants API over HTTP, by Python's own server, wasmtime and sqlite3. For trying it out: one request at a time, on loopback.

The configuration is taken from the environment. The first time, an API key is made and printed.
"""

import argparse
import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from tenants import BODY_LIMIT_BYTES, Exchange, load, open_database

ROOT = Path(__file__).resolve().parents[2]


class Handler(BaseHTTPRequestHandler):
    """Moves bytes between a connection and the API."""

    api: Exchange
    # Of a connection that says nothing, in seconds: nobody else is served meanwhile. HTTP/1.0 and so closed after each answer.
    timeout = 5

    def answer(self):
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not length.isdecimal():
            self.send_error(411)
            return
        if int(length) > BODY_LIMIT_BYTES:
            body = None
            self.skip(int(length))
        else:
            body = self.rfile.read(int(length))
        answer = self.api.handle(self.command, self.path, self.headers.items(), body, self.client_address[0])
        self.send_response(answer.status)
        for name, value in answer.headers:
            self.send_header(name, value)
        if answer.status not in (204, 304):
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)
        print({name: value for name, value in vars(answer.log).items() if value is not None}, file=sys.stderr)

    def skip(self, length: int):
        # A client that is still sending does not hear the answer. A megabyte is enough of patience.
        left = min(length, 1 << 20)
        while left > 0 and (piece := self.rfile.read1(min(left, 4096))):
            left -= len(piece)

    do_GET = do_HEAD = do_POST = do_PATCH = do_DELETE = do_PUT = do_OPTIONS = answer

    def log_message(self, *_):
        # The API's own entry says more.
        pass


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--port", type=int, default=8787, help="0 takes a free one (default: 8787)")
    arguments.add_argument("--database", default="tenants.sqlite.local", help="a file, or :memory: (default: %(default)s)")
    arguments.add_argument("--component", default=str(ROOT / "target/component/exchange.wasm"))
    options = arguments.parse_args()

    db = open_database(options.database, (ROOT / "schema.sql").read_text())
    prefixes = ("CHEVERETO_", "TENANTS_")
    variables = {name: value for name, value in os.environ.items() if name.startswith(prefixes)}
    Handler.api = Exchange(load(options.component), variables, db)
    server = HTTPServer(("127.0.0.1", options.port), Handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    if db.execute("SELECT count(*) FROM api_keys").fetchone() == (0,):
        print("API key:", Handler.api.create_api_key("first"))
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
