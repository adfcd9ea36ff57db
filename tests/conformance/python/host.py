"""A host of the conformance set in Python. Reads one command per line from standard input, and prints one answer per line, both as JSON."""

import base64
import json
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "examples" / "python"))

from tenants import Exchange, Refused, Service, load, open_database  # noqa: E402

WORLDS = {"exchange": Exchange, "service": Service}


def main():
    world = sys.argv[1]
    loaded = load(str(ROOT / "target" / "component" / f"{world}.wasm"))
    db = api = folder = None
    for line in sys.stdin:
        command = json.loads(line)
        answer = {}
        if "config" in command:
            if db is not None:
                db.close()
            db = open_database(":memory:")
            # The files of the scenario before are gone with its folder.
            folder = tempfile.TemporaryDirectory()
            try:
                api = WORLDS[world](loaded, command["config"], db, folder.name)
                # The world `service` reads the configuration with the first call.
                api.prepare_database()
            except Refused as error:
                if not str(error).startswith("invalid: "):
                    raise
                answer = {"refused": True}
        elif "statements" in command:
            for statement in command["statements"]:
                db.execute(statement["sql"], statement["params"])
        else:
            request = command["request"]
            body = base64.b64decode(command["body"])
            got = api.handle(request["method"], request["target"], request["headers"].items(), body, request.get("client_address"))
            answer = {"status": got.status, "headers": dict(got.headers), "body": got.body.decode()}
        print(json.dumps(answer), flush=True)


main()
