"""The Tenants API in a Python program: the component runs in wasmtime, the database in sqlite3.

You can use either world of the component: with `Exchange` this program runs the batches and sends the requests that the component returns, with
`Service` the component calls back to have them run and sent. A host's own work is `run_batch` and `Network`; the rest translates types. wasmtime's Python has no classes for
a component's records: `Record` is a plain object whose attributes have the names in the WIT, including hyphens.
"""

import contextlib
import http.client
import os
import queue
import socket
import sqlite3
import ssl
import sys
import threading
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from wasmtime import Engine, Store
from wasmtime.component import Component, Linker, Record, Variant

PACKAGE = "tenants:api/{}@0.3.0"
# The longest body that the API accepts. A host need not read a longer one.
BODY_LIMIT_BYTES = 65536
# The number of random bytes that one request may use.
RANDOM_BYTES = 256
# How long a batch waits for another connection's transaction.
BUSY_TIMEOUT_SECONDS = 5.0
# A request's body, if the host has not read it, or could not read all of it.
TOO_LARGE = Variant("too-large")
INCOMPLETE = Variant("incomplete")


@dataclass
class Answer:
    """The response to send, and the entry to log."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    # The log entry, with the attributes `level`, `request-id`, `route`, `cause` and so on.
    log: Record


class Refused(Exception):
    """The component returned an error: a variable is wrong, or it could not create a key."""


def open_database(path: str) -> sqlite3.Connection:
    """Opens a database. `prepare_database` of an API then creates its tables."""
    # Only `run_batch` begins and ends transactions. The caller must use the connection from one thread at a time.
    db = sqlite3.connect(path, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA foreign_keys = ON")
    return db


class Databases:
    """The registry, and, if there is a folder for them, a file for each tenant's site. Several threads may share them: each needs an API of its own."""

    def __init__(self, registry: sqlite3.Connection, sites: str | None = None):
        self.registry = registry
        self.sites = sites
        self.lock = threading.Lock()

    def run(self, batch: list[Record], site: str | None = None) -> list | Variant:
        """Runs a batch on the registry, or on the database of this site. An id has no character but [a-z0-9_-]."""
        if site is None:
            with self.lock:
                return run_batch(self.registry, batch)
        try:
            os.makedirs(self.sites, exist_ok=True)
            db = open_database(os.path.join(self.sites, f"site-{site}.db"))
        except (OSError, sqlite3.Error) as error:
            return _batch_error(error)
        try:
            return run_batch(db, batch)
        finally:
            db.close()


def run_batch(db: sqlite3.Connection, batch: list[Record]) -> list | Variant:
    """Runs a batch in one transaction. Returns the rows of each statement, or the error."""
    try:
        # Takes the write lock at once. A transaction that reads first and then writes fails if another connection has written in between.
        db.execute("BEGIN IMMEDIATE")
    except sqlite3.Error as error:
        # There is nothing to roll back. If the connection is in a transaction, it is the host's own.
        return _batch_error(error)
    try:
        # Both wasmtime and sqlite3 map NULL, INTEGER and TEXT to None, int and str.
        rows = [[list(row) for row in db.execute(statement.text, statement.values)] for statement in batch]
        db.execute("COMMIT")
        return rows
    except sqlite3.Error as error:
        if db.in_transaction:
            db.execute("ROLLBACK")
        return _batch_error(error)


def _batch_error(error: sqlite3.Error | OSError) -> Variant:
    # The low byte of an extended result code is its primary code: 5 is SQLITE_BUSY, 6 is SQLITE_LOCKED. Before Python 3.11 there is
    # only the message.
    code = getattr(error, "sqlite_errorcode", None)
    busy = code & 0xFF in (5, 6) if code is not None else "locked" in str(error)
    return Variant("unavailable" if busy else "failed", str(error))


class Network:
    """Sends the service's own requests, such as those of webhooks: to addresses that were judged, and without following a redirect."""

    def fetch(self, request: Record, may_connect_to) -> Variant:
        """Resolves the name in the URL, has all of its addresses judged, and sends the request to the first that accepts a connection. Returns the outcome for the component."""
        name = urlsplit(request.url).hostname
        found = self.resolve(name, getattr(request, "timeout-ms"))
        if found.tag == "err":
            return Variant("failed", found.payload)
        addresses, spent = found.payload.addresses, found.payload.milliseconds
        refused = [address for address in addresses if not may_connect_to(address)]
        if refused or not addresses:
            reason = f"{name} resolves to {(refused or ['nothing'])[0]}, which may not be called"
            return Variant("failed", _record(reason=reason, milliseconds=spent))
        setattr(request, "timeout-ms", max(0, getattr(request, "timeout-ms") - spent))
        sent = self.send(request, addresses)
        sent.payload.milliseconds += spent
        return Variant("answered" if sent.tag == "ok" else "failed", sent.payload)

    def resolve(self, name: str, timeout_ms: int) -> Variant:
        """Returns all addresses of a name, as a `result` of the component. The address of an IP address is itself."""
        return _timed(lambda: {"addresses": _addresses(name, timeout_ms / 1000)})

    def send(self, request: Record, addresses: list[str]) -> Variant:
        """Sends a request to the first of the addresses that accepts a connection. Returns its answer, as a `result` of the component."""
        return _timed(lambda: _answer_from(request, addresses))


def _timed(call) -> Variant:
    began = time.monotonic()
    try:
        tag, fields = "ok", call()
    except (OSError, http.client.HTTPException, ValueError) as error:
        tag, fields = "err", {"reason": str(error) or type(error).__name__}
    return Variant(tag, _record(milliseconds=int((time.monotonic() - began) * 1000), **fields))


def _addresses(name: str, seconds: float) -> list[str]:
    # getaddrinfo has no time limit, so it runs in a thread that nobody waits for any longer.
    found = queue.Queue()

    def look_up():
        try:
            found.put(socket.getaddrinfo(name, None, type=socket.SOCK_STREAM))
        except (OSError, ValueError) as error:
            found.put(error)

    threading.Thread(target=look_up, daemon=True).start()
    try:
        entries = found.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError("the name was not resolved in time") from None
    if isinstance(entries, Exception):
        raise entries
    return list(dict.fromkeys(address[0] for *_, address in entries))


def _answer_from(request: Record, addresses: list[str]) -> dict:
    url = urlsplit(request.url)
    is_secure = url.scheme == "https"
    limit = getattr(request, "limit-bytes")
    deadline = time.monotonic() + getattr(request, "timeout-ms") / 1000

    def seconds_left() -> float:
        # A limit of 0 would mean that nothing waits.
        return max(0.001, deadline - time.monotonic())

    connection = _connected(addresses, url.port or (443 if is_secure else 80), seconds_left)
    if is_secure:
        connection = ssl.create_default_context().wrap_socket(connection, server_hostname=url.hostname, do_handshake_on_connect=False)
    timed_out = threading.Event()

    def end():
        timed_out.set()
        with contextlib.suppress(OSError):
            # Not the method of an SSLSocket, which would forget that there is TLS.
            socket.socket.shutdown(connection, socket.SHUT_RDWR)

    # The socket's own limit begins anew with every byte that comes. This one is for the whole exchange.
    timer = threading.Timer(seconds_left(), end)
    timer.start()
    try:
        if is_secure:
            connection.do_handshake()
        client = http.client.HTTPConnection(url.netloc)
        client.sock = connection
        headers = {header.name: header.value for header in request.headers}
        target = (url.path or "/") + (f"?{url.query}" if url.query else "")
        client.request(request.method, target, request.body.encode() or None, {"host": url.netloc, **headers})
        response = client.getresponse()
        body = response.read(limit)
        if timed_out.is_set():
            raise TimeoutError
        if len(body) < limit and response.length:
            raise http.client.IncompleteRead(body, response.length)
        return {"status": response.status, "body": body}
    except (OSError, http.client.HTTPException):
        if timed_out.is_set():
            raise TimeoutError("the answer did not end in time") from None
        raise
    finally:
        timer.cancel()
        connection.close()


def _connected(addresses: list[str], port: int, seconds_left) -> socket.socket:
    for left in range(len(addresses), 0, -1):
        try:
            # Each address may take its share of the time that is left.
            connection = socket.create_connection((addresses[-left], port), timeout=seconds_left() / left)
            connection.settimeout(seconds_left())
            return connection
        except OSError:
            if left == 1:
                raise
    raise OSError("no address")


def load(path: str) -> tuple[Engine, Component]:
    """Compiles a component, which takes about a second. Compile once for any number of APIs."""
    engine = Engine()
    return engine, Component.from_file(engine, path)


class Tasks:
    """The tasks of an operator. Both worlds have them."""

    def create_api_key(self, name: str | None = None, expires_at: str | None = None, scopes: list[str] | None = None) -> str:
        """Creates an API key and returns its text. The database keeps only the key's digest. Without scopes, it may do everything."""
        return self._create_api_key(name, expires_at, scopes, bound=False).text

    def create_bound_api_key(self, name: str | None = None, expires_at: str | None = None, scopes: list[str] | None = None) -> tuple[str, str]:
        """Creates a bound API key, which signs whole requests. Returns its text and its signing secret."""
        key = self._create_api_key(name, expires_at, scopes, bound=True)
        return key.text, getattr(key, "signing-secret")

    def _create_api_key(self, name, expires_at, scopes, bound: bool) -> Record:
        return self.do_task(Variant("create-api-key", _record(name=name, scopes=scopes, bound=bound, **{"expires-at": expires_at})))

    def list_api_keys(self) -> list[Record]:
        """Lists all API keys, deleted ones too, with the attributes of the WIT type `api-key-row`."""
        return self.do_task(Variant("list-api-keys"))

    def delete_api_keys(self, key_id: int | None = None, name: str | None = None) -> list[int]:
        """Deletes the API keys with this id, with this name, or with both. Returns the ids of the deleted keys."""
        return self.do_task(Variant("delete-api-keys", _record(id=key_id, name=name)))

    def prepare_database(self) -> list[str]:
        """Applies the migrations that the database lacks, and returns their names. Call this at every start."""
        return self.do_task(Variant("prepare-database"))

    def count_statistics(self) -> Record:
        """Carries out what is past its time, and counts the statistics of the tenants whose turn it is. Call this each minute."""
        return self.do_task(Variant("count-statistics"))

    def deliver_webhooks(self) -> Record:
        """Sends the events that webhooks wait for. Call this each minute, and after a write."""
        return self.do_task(Variant("deliver-webhooks"))

    def look_up_proofs(self) -> Record:
        """Looks up the records that show the owners of hostnames, those whose turn it is. Call this each minute."""
        return self.do_task(Variant("look-up-proofs"))


class Exchange(Tasks):
    """The world `exchange`: this program runs the batches, sends the requests, and passes in the time and the random bytes.

    Use an API from one thread at a time. Without a `network`, it sends nothing: the events of webhooks wait.
    """

    def __init__(self, loaded: tuple[Engine, Component], variables: dict[str, str], db: sqlite3.Connection | Databases, sites: str | None = None,
                 network: Network | None = Network()):
        engine, component = loaded
        self.databases = db if isinstance(db, Databases) else Databases(db, sites)
        self.network = network
        self.store = Store(engine)
        # This world imports nothing.
        self.instance = Linker(engine).instantiate(self.store, component)
        interface = self.instance.get_export_index(self.store, PACKAGE.format("exchanges"))
        self.functions = {}
        for name in ("variable-names", "[static]api.create", "[method]api.begin", "[method]api.sign", "[method]api.begin-task",
                     "[method]exchange.may-connect-to", "[static]exchange.resume", "[method]rest.batch", "[static]rest.resume",
                     "[method]running-task.may-connect-to", "[static]running-task.resume"):
            index = self.instance.get_export_index(self.store, name, interface)
            self.functions[name] = self.instance.get_func(self.store, index)
        self.api = _unwrap(self._call("[static]api.create", _pairs(variables.items()), self.databases.sites is not None))

    def handle(self, method: str, target: str, headers, body: bytes | Variant, client: str | None, origin: str | None = None) -> Answer:
        """Answers a request. `headers` are pairs. `body` may be `TOO_LARGE` or `INCOMPLETE`. `origin` is the URL's scheme and authority."""
        request = _request(method, target, headers, body, client, origin)
        step = self._call("[method]api.begin", self.api, request, int(time.time()), os.urandom(RANDOM_BYTES))
        while step.tag == "run":
            exchange = step.payload.exchange
            outcome = self._outcome(step.payload.work, lambda address: self._call("[method]exchange.may-connect-to", exchange, address))
            # The call consumes the exchange: wasmtime raises an error if you pass it again.
            step = self._call("[static]exchange.resume", exchange, outcome)
        answer = step.payload.answer if step.tag == "open" else step.payload
        # A server that can do so runs these after it has sent the response. Nothing but the time of the key's last use depends on them.
        if answer.afterwards and isinstance(failed := self.databases.run(answer.afterwards), Variant):
            print(f"the key's use could not be noted: {failed.payload}", file=sys.stderr)
        if step.tag == "open":
            # A server that can send parts sends each at once, and closes the connection if one fails. This one sends a list as a whole.
            return self._whole(step.payload)
        return _answer(step.payload)

    def _whole(self, opened: Record) -> Answer:
        answer, rest = _answer(opened.answer), opened.rest
        while rest is not None:
            rows = self.databases.run(self._call("[method]rest.batch", rest))
            part = self._call("[static]rest.resume", rest, rows)
            # wasmtime returns a result without its tag, because the two cases have different types. This one is the answer to a failure.
            if hasattr(part, "response"):
                return _answer(part)
            answer.body += part.text.encode()
            rest = part.rest
        return answer

    def sign(self, body: bytes) -> str:
        """Returns the X-Signature of a body."""
        return _unwrap(self._call("[method]api.sign", self.api, body))

    def do_task(self, task: Variant):
        """Does a task: a variant of the WIT type `task`. Returns the result's payload."""
        step = _unwrap(self._call("[method]api.begin-task", self.api, task, int(time.time()), os.urandom(RANDOM_BYTES)))
        # wasmtime returns a step without its tag, because the two cases have different types: a record to run, or a variant when done.
        while isinstance(step, Record):
            running = step.task
            outcome = self._outcome(step.work, lambda address: self._call("[method]running-task.may-connect-to", running, address))
            step = _unwrap(self._call("[static]running-task.resume", running, outcome))
        return step.payload

    def _outcome(self, work: Variant, may_connect_to) -> Variant:
        """Does the work that the component waits for."""
        if work.tag == "batch":
            return Variant("batch", self.databases.run(work.payload.batch, work.payload.site))
        if self.network is None:
            return Variant("cannot-send")
        return self.network.fetch(work.payload, may_connect_to)

    def _call(self, name: str, *arguments):
        function = self.functions[name]
        result = function(self.store, *arguments)
        function.post_return(self.store)
        return result


class Service(Tasks):
    """The world `service`: the component calls this program for the database, the network, the time and random bytes. Otherwise it is like `Exchange`."""

    def __init__(self, loaded: tuple[Engine, Component], variables: dict[str, str], db: sqlite3.Connection | Databases, sites: str | None = None,
                 network: Network | None = Network()):
        engine, component = loaded
        databases = db if isinstance(db, Databases) else Databases(db, sites)
        self.variables = _pairs(variables.items())
        self.store = Store(engine)
        linker = Linker(engine)
        imports = {
            "database": {"run": lambda _store, batch, site: databases.run(batch, site), "has-sites": lambda _store: databases.sites is not None},
            # Each function returns none if there is no network. The component judges the addresses between the two.
            "network": {
                "resolve": lambda _store, name, timeout_ms: network and network.resolve(name, timeout_ms),
                "send": lambda _store, request, addresses: network and network.send(request, addresses),
            },
            "clock": {"now": lambda _store: int(time.time())},
            "randomness": {"bytes": lambda _store, count: os.urandom(count)},
        }
        with linker.root() as root:
            for interface, functions in imports.items():
                with root.add_instance(PACKAGE.format(interface)) as instance:
                    for name, function in functions.items():
                        instance.add_func(name, function)
        instance = linker.instantiate(self.store, component)
        self.functions = {name: instance.get_func(self.store, name) for name in ("handle", "do-task")}

    def handle(self, method: str, target: str, headers, body: bytes | Variant, client: str | None, origin: str | None = None) -> Answer:
        """Answers a request, as `Exchange.handle` does."""
        request = _request(method, target, headers, body, client, origin)
        return _answer(_unwrap(self._call("handle", request)))

    def do_task(self, task: Variant):
        """Does a task, as `Exchange.do_task` does."""
        return _unwrap(_unwrap(self._call("do-task", task))).payload

    def _call(self, name: str, argument):
        function = self.functions[name]
        result = function(self.store, self.variables, argument)
        function.post_return(self.store)
        return result


def _record(**fields) -> Record:
    record = Record()
    vars(record).update(fields)
    return record


def _request(method: str, target: str, headers, body: bytes | Variant, client: str | None, origin: str | None) -> Record:
    body = Variant("bytes", body) if isinstance(body, bytes) else body
    return _record(method=method, target=target, origin=origin, client=client, headers=_pairs(headers), body=body)


def _pairs(items) -> list[Record]:
    return [_record(name=name, value=value) for name, value in items]


def _answer(answer: Record) -> Answer:
    response = answer.response
    return Answer(response.status, [(h.name, h.value) for h in response.headers], response.body.encode(), answer.log)


def _unwrap(result):
    """Returns the value of a `result`, or raises its error. If the types tell ok from err, wasmtime returns the bare value without a tag."""
    if isinstance(result, list):
        raise Refused("; ".join(_sentence(error) for error in result))
    if getattr(result, "tag", None) == "err":
        raise Refused(_sentence(result.payload))
    return result.payload if getattr(result, "tag", None) == "ok" else result


def _sentence(error) -> str:
    payload = error.payload if hasattr(error, "payload") else error
    text = f"{payload.name}: {payload.detail}" if isinstance(payload, Record) else payload
    return ": ".join(str(part) for part in (getattr(error, "tag", None), text) if part is not None)
