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

# The document with models that there are: nearly every id that is made up is no model, and what comes after it would not be asked.
request = urllib.request.Request(f"{base}/v1/models", headers={"authorization": f"Bearer {api_key}"})
models = json.load(urllib.request.urlopen(request))["data"]
for body, kind in [
    ("ChatRequest", "language"), ("ResponsesRequest", "language"), ("MessagesRequest", "language"),
    ("EmbeddingsRequest", "embedding"), ("ImagesRequest", "image"),
]:
    ids = [model["id"] for model in models if model["kind"] == kind and model["status"] == "active"]
    document["components"]["schemas"][body]["properties"]["model"] = {"enum": ids[:3]}
# What is there with /v1 as well is the same row of the same table: once is enough.
paths = document["paths"]
document["paths"] = {path: item for path, item in paths.items() if f"/v1{path}" not in paths}
# What goes on for ever is asked only for what there is.
for operation in (paths[path]["get"] for path in paths if path.endswith("/events")):
    for parameter in operation["parameters"]:
        if parameter["name"] == "follow":
            parameter.update(required=True, schema={"enum": [False]})
# A position that is not there yet is rightly answered with 503, so none is made up.
POSITIONS = ["min_position", "last_event_id", "Last-Event-ID"]
for operation in (operation for item in paths.values() for operation in item.values() if isinstance(operation, dict)):
    kept = [parameter for parameter in operation.get("parameters", []) if parameter["name"] not in POSITIONS]
    operation["parameters"] = kept
file = pathlib.Path(os.environ["SCRATCH"]) / "document.json"
file.write_text(json.dumps(document))

CHECKS = "not_a_server_error,response_schema_conformance,content_type_conformance,status_code_conformance"
schemathesis = pathlib.Path(sys.executable).with_name("schemathesis")


def ask(key, *paths):
    run = subprocess.run(
        [
            schemathesis, "run", file, "--url", base, "-H", f"authorization: Bearer {key}", *paths,
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
