#!/usr/bin/env python3
"""Stands in for gateway, ledger, projector and simulator, as far as the local stack deals with them."""

import http.server
import json
import os
import subprocess
import sys

program, arguments = os.path.basename(sys.argv[0]), sys.argv[1:]


class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


if program == "ledger" and arguments[0] != "serve":
    print(json.dumps({
        "verifier_key": "layers/local+00000000+AQ==",
        "account_id": "an-account",
        "sandbox_account_id": "a-sandbox",
        "key": "lyr_test_k" if "--sandbox" in arguments else "lyr_live_k",
    }))
    sys.exit()

if program == "ledger":
    for role in ("gateway", "projector", "analyst"):
        # The second life finds the roles of the first.
        subprocess.run([os.environ["STAND_IN_PSQL"], os.environ["DATABASE_URL"], "-c", f"create role layers_{role} login"])

listen = os.environ[{"gateway": "LAYERS_LISTEN"}.get(program, f"LAYERS_{program.upper()}_LISTEN")]
host, port = listen.split(":")
http.server.ThreadingHTTPServer((host, int(port)), Health).serve_forever()
