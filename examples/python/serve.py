"""Serves the Tenants API over HTTP with Python's own server, wasmtime and sqlite3. For experiments: one request at a time, on loopback.

Reads the configuration from the environment. On the first start, creates an API key and prints it. Each minute it does the regular work: it carries out what is past
its time and counts statistics, sends the events of webhooks, and looks up the records of hostnames. The event of a write goes out at once.
"""

import argparse
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from tenants import BODY_LIMIT_BYTES, INCOMPLETE, TOO_LARGE, Databases, Exchange, load, open_database

ROOT = Path(__file__).resolve().parents[2]


class Handler(BaseHTTPRequestHandler):
    """Moves bytes between a connection and the API."""

    api: Exchange
    # Makes an API. A trap ends the one before.
    new_api: Callable[[], Exchange]
    # Set after each write.
    written = threading.Event()
    # In seconds. An idle connection blocks all others, because the server handles one at a time. It speaks HTTP/1.0, so each
    # connection closes after its response.
    timeout = 5

    def answer(self):
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not length.isdecimal():
            self.send_error(411)
            return
        if int(length) > BODY_LIMIT_BYTES:
            body = TOO_LARGE
            self.skip(int(length))
        else:
            body = self.rfile.read(int(length))
            if len(body) < int(length):
                body = INCOMPLETE
        host = self.headers.get("Host")
        origin = f"http://{host}" if host else None
        try:
            answer = self.api.handle(self.command, self.path, self.headers.items(), body, self.client_address[0], origin)
        except Exception as error:
            # A trap, which is a bug in the component.
            print(f"{self.command} {self.path}: {error}", file=sys.stderr)
            Handler.api = Handler.new_api()
            self.send_error(500)
            return
        if self.command not in ("GET", "HEAD") and answer.status < 400:
            self.written.set()
        print({name: value for name, value in vars(answer.log).items() if value is not None}, file=sys.stderr)
        try:
            self.respond(answer)
        except ConnectionError:
            # The client is gone, and what it asked for is done all the same.
            self.close_connection = True

    def respond(self, answer):
        self.send_response(answer.status)
        for name, value in answer.headers:
            self.send_header(name, value)
        # The length of a response to HEAD would be that of GET's.
        if answer.status not in (204, 304) and self.command != "HEAD":
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def skip(self, length: int):
        # Many clients read the response only after they have sent the whole body, so read up to a megabyte of it.
        left = min(length, 1 << 20)
        while left > 0 and (piece := self.rfile.read1(min(left, 4096))):
            left -= len(piece)

    do_GET = do_HEAD = do_POST = do_PATCH = do_DELETE = do_PUT = do_OPTIONS = answer

    def log_message(self, *_):
        # The API's log entry says more.
        pass


def work_regularly(seconds: float, new_api, written: threading.Event):
    """Does the regular work again and again, and sends events after each write. A task that fails does not stop the others, nor a later run."""
    due = time.monotonic()
    while True:
        names = ["deliver_webhooks"]
        if time.monotonic() >= due:
            due = time.monotonic() + seconds
            names = ["count_statistics", "deliver_webhooks", "look_up_proofs"]
        for name in names:
            try:
                # An API of its own, since a trap would end it, and since that of the requests belongs to another thread.
                report = getattr(new_api(), name)()
                for failed in getattr(report, "failed", []):
                    print(f"{name}: {vars(failed)}", file=sys.stderr)
            except Exception as error:
                print(f"{name}: {error}", file=sys.stderr)
        written.wait(max(0, due - time.monotonic()))
        written.clear()


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--port", type=int, default=8787, help="0 chooses a free port (default: 8787)")
    arguments.add_argument("--database", default="tenants.sqlite.local", help="a file, or :memory: (default: %(default)s)")
    arguments.add_argument("--every", type=float, default=60, help="the seconds between two runs of the regular work (default: 60)")
    arguments.add_argument("--component", default=str(ROOT / "target/component/exchange.wasm"))
    options = arguments.parse_args()

    prefixes = ("CHEVERETO_", "TENANTS_")
    variables = {name: value for name, value in os.environ.items() if name.startswith(prefixes)}
    # With CHEVERETO_TENANTS_DB_ISOLATION_MODE=database, each site has a file of its own.
    sites = None if options.database == ":memory:" else f"{options.database}.sites"
    databases = Databases(open_database(options.database), sites)
    loaded = load(options.component)
    Handler.new_api = lambda: Exchange(loaded, variables, databases)
    Handler.api = Handler.new_api()
    Handler.api.prepare_database()
    server = HTTPServer(("127.0.0.1", options.port), Handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    if not Handler.api.list_api_keys():
        print("API key:", Handler.api.create_api_key("first"))
    # A daemon thread ends with the program. An event that was under way is then sent once more.
    work = (options.every, Handler.new_api, Handler.written)
    threading.Thread(target=work_regularly, args=work, daemon=True).start()
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
