"""Sends requests as the Python example's host does. Reads from standard input a list of objects with `url`, `timeout`, `addresses` (what the name resolves
to) and `private` (those that may not be called). Prints what came of each."""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "examples" / "python"))

from names import resolve_all_names_to  # noqa: E402
from tenants import Network  # noqa: E402
from wasmtime.component import Record  # noqa: E402


def record(**fields) -> Record:
    made = Record()
    vars(made).update(fields)
    return made


def came_of(order: dict) -> dict:
    resolve_all_names_to(order["addresses"])
    request = record(method="POST", url=order["url"], headers=[record(name="content-type", value="text/plain")], body="grüße")
    vars(request).update({"limit-bytes": 1024, "timeout-ms": order["timeout"]})
    outcome = Network().fetch(request, lambda address: address not in order["private"])
    fields = vars(outcome.payload)
    return {"tag": outcome.tag, **fields, **({"body": fields["body"].decode()} if "body" in fields else {})}


print(json.dumps([came_of(order) for order in json.load(sys.stdin)]))
