"""A client of bound keys, made of libraries that know nothing of this service: `requests`, and `http_message_signatures` for RFC 9421.

Reads requests as JSON from standard input, one a line: method, url, body, and further headers. Prints the status of each response, and its body.
"""

import json
import os
import sys

import http_message_signatures as signatures
import requests

KEY = os.environ["TENANTS_API_KEY"]
SECRET = os.environ["TENANTS_SIGNING_SECRET"].encode()


class Sha512(signatures.ContentDigest):
    algorithm = "sha-512"


def main():
    keys = signatures.MappingKeyResolver(private_keys={"any": SECRET}, public_keys={"any": SECRET})
    signer = signatures.HTTPMessageSigner(signature_algorithm=signatures.algorithms.HMAC_SHA256, key_resolver=keys)
    for line in sys.stdin:
        asked = json.loads(line)
        headers = {"X-API-Key": KEY, **asked["headers"]}
        body = asked["body"].encode()
        covered = ["@method", "@target-uri", "x-api-key", *(name.lower() for name in asked["headers"])]
        if body:
            headers["Content-Type"] = "application/json"
            headers["Content-Digest"] = Sha512.create(body)
            covered += ["content-digest", "content-type", "@authority"]
        request = requests.Request(asked["method"], asked["url"], headers=headers, data=body).prepare()
        signer.sign(request, key_id="any", covered_component_ids=covered, use_existing_digest=bool(body))
        response = requests.Session().send(request, timeout=30)
        print(json.dumps({"status": response.status_code, "body": response.text}), flush=True)


main()
