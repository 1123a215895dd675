"""Judges a gateway's own OpenAPI document by programs that are not ours: the document is valid, and whatever is asked by it,
also by chance, is answered as it says, and never with a 5xx."""

import json
import os
import pathlib
import subprocess
import sys
import urllib.request

from openapi_spec_validator import validate

base, api_key, admin_key = sys.argv[1:4]
document = json.load(urllib.request.urlopen(f"{base}/openapi.json"))
validate(document)
# The validator does find what is wrong.
broken = json.loads(json.dumps(document))
broken["paths"]["/v1/models"]["get"]["responses"] = 7
try:
    validate(broken)
except Exception:
    pass
else:
    sys.exit("a document that cannot be is called valid")

CHECKS = "not_a_server_error,response_schema_conformance,content_type_conformance,status_code_conformance"
schemathesis = pathlib.Path(sys.executable).with_name("schemathesis")


def ask(key, *paths):
    run = subprocess.run(
        [
            schemathesis, "run", f"{base}/openapi.json", "--url", base, "-H", f"authorization: Bearer {key}", *paths,
            "--checks", CHECKS, "--phases", "coverage,fuzzing", "--max-examples", "10", "--seed", "1",
            "--suppress-health-check", "all", "--no-color", "--workers", "1",
        ],
        capture_output=True,
        text=True,
        env={"PATH": os.environ.get("PATH", ""), "HOME": os.environ["SCRATCH"], "COLUMNS": "160"},
        cwd=os.environ["SCRATCH"],
    )
    print(run.stdout)
    if run.returncode != 0:
        print(run.stderr)
        sys.exit(f"schemathesis ends with {run.returncode}")


ask(api_key, "--exclude-path-regex", "^/admin")
ask(admin_key, "--include-path-regex", "^/admin")
