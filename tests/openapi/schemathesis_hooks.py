"""Signs each request of Schemathesis, and makes requests keep the rules that JSON Schema cannot say."""

import base64
import hashlib
import hmac
import itertools
import os
import re

import requests
import schemathesis
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

KEY = os.environ["TENANTS_API_KEY"]
SECRET = os.environ["TENANTS_REQUEST_SECRET"].encode()
LEGACY = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(os.environ["TENANTS_LEGACY_SEED"]))
PLAN = "kept"
sent = itertools.count()


class Signed(requests.auth.AuthBase):
    """Adds the key and the signature of the very bytes that are sent."""

    def __call__(self, request):
        body = request.body or b""
        if isinstance(body, str):
            body = body.encode()
        request.headers["X-API-Key"] = KEY
        # OpenAPI encodes a space as %20 (RFC 6570). `requests` writes a plus, which is a plus here.
        request.url = request.url.replace("+", "%20")
        if request.path_url.startswith("/api/4/_/"):
            signature = base64.b64encode(LEGACY.sign(body)).decode()
        else:
            signature = hmac.new(SECRET, body, hashlib.sha256).hexdigest()
        request.headers["X-Signature"] = signature
        return request


schemathesis.auth.set_from_requests(Signed())


@schemathesis.hook
def before_call(context, case, kwargs):
    body = case.body
    # A plan that is given to a tenant must exist. Schemathesis deletes plans, too.
    if isinstance(body, dict) and "/tenants-plans" not in case.operation.path:
        plan = body.get("plan_id")
        if isinstance(plan, str) and re.fullmatch("[A-Za-z0-9][A-Za-z0-9_-]{0,63}", plan):
            body["plan_id"] = PLAN
            url = case.operation.schema.get_base_url().rstrip("/") + "/_/api/4/tenants-plans"
            made = requests.post(url, json={"id": PLAN}, auth=Signed(), timeout=10)
            assert made.status_code in (201, 409), made.text
    # So must a cell.
    cell = body.get("cell_id") if isinstance(body, dict) else None
    if isinstance(cell, str) and re.fullmatch("[A-Za-z0-9][A-Za-z0-9_-]{0,63}", cell):
        body["cell_id"] = PLAN
        url = case.operation.schema.get_base_url().rstrip("/") + f"/_/api/4/cells/{PLAN}"
        made = requests.put(url, json={"accepting": True}, auth=Signed(), timeout=10)
        assert made.status_code in (200, 201), made.text
    # JSON Schema counts 1.0 as an integer; the statistics have no point, and are less than 2^64.
    for tenant in body.get("tenants", []) if isinstance(body, dict) and isinstance(body.get("tenants"), list) else []:
        stats = tenant.get("stats") if isinstance(tenant, dict) else None
        if isinstance(stats, dict):
            for name, value in stats.items():
                if (isinstance(value, float) and value.is_integer()) or (isinstance(value, int) and value >= 2**64):
                    stats[name] = min(int(value), 2**64 - 1)
    # A key and a hold end in the future, and a tenant is suspended and deleted then.
    for part, name in (("/keys", "expires_at"), ("/holds/", "until"), ("/tenants", "suspend_at"), ("/tenants", "delete_at")):
        end = body.get(name) if isinstance(body, dict) and part in case.operation.path else None
        if isinstance(end, str) and re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}", end):
            body[name] = "2999" + end[4:].replace("02-29", "02-28")
    # The key that signs must stay, and may rotate itself only with an overlap.
    if "/keys/{id}" in case.operation.path and str((case.path_parameters or {}).get("id")) == KEY.split("_")[1]:
        case.path_parameters["id"] = 999_999
    # An Idempotency-Key belongs to one request, so each gets a number. The end of a long one makes way for it.
    name = (case.headers or {}).get("Idempotency-Key")
    if isinstance(name, str) and re.fullmatch("[!#-~][!-~]{0,254}", name):
        case.headers["Idempotency-Key"] = f"{next(sent)}-{name}"[:255]
    elif isinstance(name, str) and re.fullmatch(r'"([!#-\[\]-~]|\\["\\]){1,255}"', name):
        case.headers["Idempotency-Key"] = f'"{next(sent)}-{name[1:] if len(name) < 200 else name[-1]}'
    # Only what could be created can be put, so an id that no resource can have is a 422 rather than a 404.
    put = (case.path_parameters or {}).get("id")
    if case.method == "PUT" and isinstance(put, str) and re.fullmatch("[A-Za-z0-9][A-Za-z0-9_-]*", put):
        case.path_parameters["id"] = put[:16]
    # A webhook's URL is one that can be: here nothing listens, so that its test needs no network.
    url = body.get("url") if isinstance(body, dict) and "/webhooks" in case.operation.path else None
    if isinstance(url, str) and len(url) <= 2048 and re.fullmatch(r"https?://[^@#\\\x00- ]+", url):
        body["url"] = "http://127.0.0.1:9/hooks"
    # `from` says where a webhook that is enabled begins.
    if "/webhooks" in case.operation.path and isinstance(body, dict) and "from" in body and body.get("is_enabled") in (None, False):
        body["is_enabled"] = True
    if case.method == "PATCH" and "/webhooks" in case.operation.path and isinstance(body, dict) and body.get("is_enabled") is True:
        body.setdefault("from", "now")
    query = case.query
    # The list of deleted tenants takes no filters.
    if isinstance(query, dict) and query.get("deleted") == "true" and set(query) - {"deleted", "limit", "after"}:
        del query["deleted"]
    # A trial reads no Idempotency-Key, not even to refuse a malformed one.
    if name is not None and isinstance(query, dict) and query.get("validate_only") == "true":
        del query["validate_only"]
    # A cursor is opaque, and of this database.
    if case.operation.path.endswith("/cells/{id}/tenants") and isinstance(query, dict):
        query.pop("after", None)
    # In a sorted list, `after` has the value of the row, too.
    if isinstance(query, dict) and "sort" in query and "," not in str(query.get("after", ",")):
        del query["after"]
    # In a list by ids, it has none.
    elif isinstance(query, dict) and "sort" not in query and isinstance(query.get("after"), str) and "," in query["after"]:
        query["after"] = query["after"].rsplit(",", 1)[1]
