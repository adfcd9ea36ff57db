"""The Tenants API in a Python program: the component runs in wasmtime, the database in sqlite3.

You can use either world of the component: with `Exchange` this program runs the batches that the component returns, with `Service` the
component calls back to have them run. A host's own work is `run_batch`; the rest translates types. wasmtime's Python has no classes for
a component's records: `Record` is a plain object whose attributes have the names in the WIT, including hyphens.
"""

import os
import sqlite3
import sys
import time
from dataclasses import dataclass

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
    """The registry, and, if there is a folder for them, a file for each tenant's site."""

    def __init__(self, registry: sqlite3.Connection, sites: str | None = None):
        self.registry = registry
        self.sites = sites

    def run(self, batch: list[Record], site: str | None = None) -> list | Variant:
        """Runs a batch on the registry, or on the database of this site. An id has no character but [a-z0-9_-]."""
        if site is None:
            return run_batch(self.registry, batch)
        os.makedirs(self.sites, exist_ok=True)
        db = open_database(os.path.join(self.sites, f"site-{site}.db"))
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


def _batch_error(error: sqlite3.Error) -> Variant:
    # The low byte of an extended result code is its primary code: 5 is SQLITE_BUSY, 6 is SQLITE_LOCKED. Before Python 3.11 there is
    # only the message.
    code = getattr(error, "sqlite_errorcode", None)
    busy = code & 0xFF in (5, 6) if code is not None else "locked" in str(error)
    return Variant("unavailable" if busy else "failed", str(error))


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
        """Counts the statistics of the tenants whose turn it is. Call this regularly."""
        return self.do_task(Variant("count-statistics"))


class Exchange(Tasks):
    """The world `exchange`: this program runs the batches, and passes in the time and the random bytes."""

    def __init__(self, loaded: tuple[Engine, Component], variables: dict[str, str], db: sqlite3.Connection, sites: str | None = None):
        engine, component = loaded
        self.databases = Databases(db, sites)
        self.store = Store(engine)
        # This world imports nothing.
        self.instance = Linker(engine).instantiate(self.store, component)
        interface = self.instance.get_export_index(self.store, PACKAGE.format("exchanges"))
        self.functions = {}
        for name in ("variable-names", "[static]api.create", "[method]api.begin", "[method]api.sign", "[method]api.begin-task",
                     "[static]exchange.resume", "[method]rest.batch", "[static]rest.resume", "[static]running-task.resume"):
            index = self.instance.get_export_index(self.store, name, interface)
            self.functions[name] = self.instance.get_func(self.store, index)
        self.api = _unwrap(self._call("[static]api.create", _pairs(variables.items()), sites is not None))

    def handle(self, method: str, target: str, headers, body: bytes | Variant, client: str | None, origin: str | None = None) -> Answer:
        """Answers a request. `headers` are pairs. `body` may be `TOO_LARGE` or `INCOMPLETE`. `origin` is the URL's scheme and authority."""
        request = _request(method, target, headers, body, client, origin)
        step = self._call("[method]api.begin", self.api, request, int(time.time()), os.urandom(RANDOM_BYTES))
        while step.tag == "run":
            rows = self.databases.run(step.payload.batch, step.payload.site)
            # The call consumes the exchange: wasmtime raises an error if you pass it again.
            step = self._call("[static]exchange.resume", step.payload.exchange, rows)
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
            step = _unwrap(self._call("[static]running-task.resume", step.task, self.databases.run(step.batch, step.site)))
        return step.payload

    def _call(self, name: str, *arguments):
        function = self.functions[name]
        result = function(self.store, *arguments)
        function.post_return(self.store)
        return result


class Service(Tasks):
    """The world `service`: the component calls this program for the database, the time and random bytes."""

    def __init__(self, loaded: tuple[Engine, Component], variables: dict[str, str], db: sqlite3.Connection, sites: str | None = None):
        engine, component = loaded
        databases = Databases(db, sites)
        self.variables = _pairs(variables.items())
        self.store = Store(engine)
        linker = Linker(engine)
        imports = {
            "database": {"run": lambda _store, batch, site: databases.run(batch, site), "has-sites": lambda _store: sites is not None},
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
