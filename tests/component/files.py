"""Uses the Python example's host on a database file. The first argument is the world, the second is the task, the third is the file."""

import json
import os
import sqlite3
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "examples" / "python"))

import tenants  # noqa: E402
from names import resolve_all_names_to  # noqa: E402
from tenants import Exchange, Refused, Service, load, open_database  # noqa: E402

VARIABLES = {
    **{name: value for name, value in os.environ.items() if name.startswith("TENANTS_")},
    "CHEVERETO_TENANTS_API_KEY_SECRET": "the secret of keys",
    "CHEVERETO_TENANTS_API_REQUEST_SECRET": "the secret of requests",
    "CHEVERETO_ENCRYPTION_KEY": "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=",
}


def patiently(call):
    """Repeats a task while the database is busy."""
    while True:
        try:
            return call()
        except Refused as error:
            if not str(error).startswith("unavailable"):
                raise


def main():
    world, task, path, *rest = sys.argv[1:]
    db = open_database(path)
    loaded = load(str(ROOT / "target" / "component" / f"{world}.wasm"))
    new_api = {"exchange": Exchange, "service": Service}[world]
    api = new_api(loaded, VARIABLES, db)
    # The world `service` cannot sign.
    signer = api if world == "exchange" else Exchange(load(str(ROOT / "target" / "component" / "exchange.wasm")), VARIABLES, db)

    def ask(key: str, method: str, path: str, content=None):
        body = b"" if content is None else json.dumps(content).encode()
        headers = {"x-api-key": key, "x-signature": signer.sign(body), **({"content-type": "application/json"} if body else {})}
        return api.handle(method, f"/_/api/4{path}", headers.items(), body, None)

    def create(key: str, name: str):
        return ask(key, "POST", "/tenants", {"id": name, "hostname": f"{name}.example.com", "is_enabled": True})

    def prepare():
        return patiently(api.prepare_database)

    def create_many(prefix: str, count: str):
        prepare()
        key = patiently(lambda: api.create_api_key())
        statuses: dict[int, int] = {}
        for number in range(int(count)):
            while (status := create(key, f"{prefix}-{number}").status) == 503:
                pass
            statuses[status] = statuses.get(status, 0) + 1
        return statuses

    def busy():
        """Another connection holds the database for longer than the busy timeout."""
        prepare()
        key = api.create_api_key()
        db.execute("PRAGMA busy_timeout = 1")
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        held = create(key, "a")
        other.execute("COMMIT")
        return {"status": held.status, "headers": dict(held.headers), "cause": held.log.cause, "free": create(key, "a").status}

    def own_transaction():
        """The host's own work on the connection survives a request."""
        prepare()
        key = api.create_api_key()
        db.execute("CREATE TABLE own (a)")
        db.execute("BEGIN")
        db.execute("INSERT INTO own VALUES (1)")
        within = create(key, "a")
        still = db.in_transaction
        db.execute("COMMIT")
        rows = db.execute("SELECT count(*) FROM own").fetchone()[0]
        return {"status": within.status, "still": still, "rows": rows, "after": create(key, "a").status}

    def incomplete():
        prepare()
        key = api.create_api_key()
        answer = api.handle("POST", "/_/api/4/tenants", {"x-api-key": key}.items(), tenants.INCOMPLETE, None)
        return {"status": answer.status, "code": json.loads(answer.body)["code"]}

    def unopened(sites: str):
        """The folder of sites' databases cannot be made, since a file has its name."""
        prepare()
        key = api.create_api_key()
        create(key, "a")
        variables = {**VARIABLES, "CHEVERETO_TENANTS_DB_ISOLATION_MODE": "database"}
        apart = new_api(loaded, variables, db, sites)
        body = json.dumps({"username": "admin", "email": "admin@example.com", "password": "a password"}).encode()
        headers = {"x-api-key": key, "x-signature": signer.sign(body), "content-type": "application/json"}.items()
        Path(sites).touch()
        statuses = [apart.handle("POST", "/_/api/4/tenants/a/install", headers, body, None).status]
        Path(sites).unlink()
        (Path(sites) / "site-a.db").mkdir(parents=True)
        statuses.append(apart.handle("POST", "/_/api/4/tenants/a/install", headers, body, None).status)
        (Path(sites) / "site-a.db").rmdir()
        statuses.append(apart.handle("POST", "/_/api/4/tenants/a/install", headers, body, None).status)
        return statuses

    def newer():
        prepare()
        db.execute("INSERT INTO d1_migrations (name) VALUES ('9999_later.sql')")
        try:
            api.prepare_database()
        except Refused as error:
            return str(error)

    def send(url: str, *addresses: str):
        """Sends an event, looks up a record, and tries the webhook, with what names resolve to. Returns the reports, and what was noted."""
        resolve_all_names_to(addresses)
        prepare()
        key = api.create_api_key()
        webhook = json.loads(ask(key, "POST", "/webhooks", {"url": url, "types": ["tenant.created"]}).body)["id"]
        create(key, "a")
        claimed = ask(key, "PUT", "/tenants/a/hostnames/photos.example.com", {"kind": "alias"})
        assert claimed.status == 201, claimed.body
        db.execute("UPDATE tenant_hostnames SET check_at = '2000-01-01 00:00:00'")
        silent = new_api(loaded, VARIABLES, db, network=None)
        reports = [vars(each()) for each in (silent.deliver_webhooks, api.deliver_webhooks, api.look_up_proofs)]
        reports[2]["failed"] = [failed.reason for failed in reports[2]["failed"]]
        noted = json.loads(ask(key, "GET", f"/webhooks/{webhook}/deliveries").body)
        tried = json.loads(ask(key, "POST", f"/webhooks/{webhook}/test").body)
        return {"reports": reports, "answers": [noted[0]["answer"], tried["answer"]]}

    tasks = {"send": send, "prepare": prepare, "create": create_many, "busy": busy, "own": own_transaction, "incomplete": incomplete, "newer": newer, "unopened": unopened}
    print(json.dumps(tasks[task](*rest)))


main()
