"""Schemathesis over the published document of the Admin API: requests that are
made from it, good ones and bad ones, against a server with an app in it.

No answer may be a 5xx, and each has a status, a content type and a shape that
the document names.

BACKSTITCH is the server's binary, SCHEMATHESIS the command; EXAMPLES says how
many requests are made for an operation, SEED which, and PHASES how: "coverage"
goes through the edges of each type, one by one, and takes long.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import urllib.request
from pathlib import Path

PROJECT = "5fd45718cface356de9d104d"
PUBLIC, PRIVATE = "public", "a-private-key"
API = "/api/admin/v3.0"
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
)
# A request that takes longer is a failure, and so is a run.
ANSWER_SECONDS_MAX = 30
RUN_SECONDS_MAX = 900
# What would end the run: the app and the project that it goes by.
APART = ("adminDeleteApplication", "deleteProject")


class Client:
    """An administrator."""

    def __init__(self, url):
        self.url, self.token = url, None
        pair = {"username": PUBLIC, "apiKey": PRIVATE}
        login = self.ask("POST", "/auth/providers/mongodb-cloud/login", pair)
        self.token = login["access_token"]

    def ask(self, method, path, body=None):
        headers = {"content-type": "application/json"}
        if self.token:
            headers["authorization"] = f"Bearer {self.token}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + API + path, data, headers, method=method)
        with urllib.request.urlopen(request) as answer:
            text = answer.read()
            return json.loads(text) if text else None


def furnish(client):
    """An app with one of the usual things; the ids that paths name."""
    apps = f"/groups/{PROJECT}/apps"
    app = client.ask("POST", apps, {"name": "shop"})["_id"]

    def made(path, body):
        return client.ask("POST", f"{apps}/{app}{path}", body)["_id"]

    function = made("/functions", {"name": "f", "source": "exports = () => 1;"})
    atlas = {"name": "db", "type": "mongodb-atlas", "config": {"clusterName": "Cluster0"}}
    source = made("/services", atlas)
    nightly = {
        "name": "t", "type": "SCHEDULED", "function_id": function,
        "config": {"schedule": "0 3 * * *"},
    }
    place = {"data_source": "db", "database": "d", "collection": "c"}
    return {
        "groupId": PROJECT,
        "appId": app,
        "serviceId": source,
        "datasourceId": source,
        "triggerId": made("/triggers", nightly),
        "eventSubscriptionId": made("/triggers", {**nightly, "name": "u"}),
        "valueId": made("/values", {"name": "v", "value": 1}),
        "secretId": made("/secrets", {"name": "s", "value": "hush"}),
        "schemaId": made("/schemas", {"metadata": place, "schema": {"title": "c"}}),
        "ruleId": made(f"/services/{source}/rules", {"database": "d", "collection": "c", "roles": []}),
    }


def main():
    command = os.environ.get("SCHEMATHESIS", "schemathesis")
    with tempfile.TemporaryDirectory() as folder:
        server = subprocess.Popen(
            [
                os.environ["BACKSTITCH"], "serve", "--listen", "127.0.0.1:0",
                "--data-dir", f"{folder}/data", "--project-id", PROJECT,
                "--admin-public-key", PUBLIC, "--admin-private-key", PRIVATE,
            ],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )
        try:
            url = None
            for line in server.stderr:
                found = re.search(r"http://127\.0\.0\.1:\d+", line)
                if found:
                    url = found.group(0)
                    break
            if url is None:
                sys.exit("the server did not start")
            # It must not wait for somebody to read what it logs.
            threading.Thread(target=server.stderr.read, daemon=True).start()
            client = Client(url)
            ids = furnish(client)
            settings = "".join(f'"path.{name}" = "{value}"\n' for name, value in ids.items())
            Path(folder, "schemathesis.toml").write_text(f"[parameters]\n{settings}")
            run = [
                command, "--config-file", f"{folder}/schemathesis.toml", "run",
                f"{url}{API}/openapi.json", "--header", f"Authorization: Bearer {client.token}",
                "--checks", ",".join(CHECKS), "--phases", os.environ.get("PHASES", "fuzzing"),
                "--max-examples", os.environ.get("EXAMPLES", "10"),
                "--seed", os.environ.get("SEED", "1"),
                "--request-timeout", str(ANSWER_SECONDS_MAX),
                "--continue-on-failure", "--suppress-health-check", "all", "--no-color",
                # Ids that nothing has are part of it.
                "--warnings", "off",
            ]
            for operation in APART:
                run += ["--exclude-operation-id", operation]
            done = subprocess.run(run, cwd=folder, check=False, timeout=RUN_SECONDS_MAX)
            if server.poll() is not None:
                sys.exit("the server ended")
            sys.exit(done.returncode)
        finally:
            server.kill()
            server.wait()


if __name__ == "__main__":
    main()
