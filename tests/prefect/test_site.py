"""compose.yaml and Containerfile, part by part: their commands, variables and rights, on a PostgreSQL of Debian's."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from ruamel.yaml import YAML

from tests.containers import contained, why_not
from tests.jobs import DEMO_DATA, Job
from tests.orthanc_server import free_port
from tests.postgresql import missing, postgresql
from tests.prefect.groups import running

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(500),
    pytest.mark.skipif(bool(missing()), reason=missing()),
    pytest.mark.skipif(bool(why_not()), reason=why_not()),
]

PROJECT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
SECRETS = {name: f"secret-{name.lower()}" for name in ("DATABASE_PASSWORD", "PREFECT_PASSWORD", "ORTHANC_PASSWORD")}
PATIENCE_S = 200.0


def _services() -> dict[str, dict[str, Any]]:
    """Return the services, with the secrets of this test in them."""
    text = (PROJECT / "compose.yaml").read_text(encoding="utf-8")
    secrets = SECRETS | {"DEIDFLOW_KEY": "00112233445566778899aabbccddeeff" * 2}
    text = re.sub(r"\$\{(\w+):\?\}", lambda found: secrets[found[1]], text)
    services: dict[str, dict[str, Any]] = YAML(typ="safe").load(text)["services"]
    return services


def _image() -> tuple[dict[str, str], list[str]]:
    """Return the variables and the entry point of the Containerfile."""
    text = (PROJECT / "Containerfile").read_text(encoding="utf-8")
    (line,) = re.findall("^ENV (.*)$", text, re.MULTILINE)
    (entry,) = re.findall("^ENTRYPOINT (.*)$", text, re.MULTILINE)
    return dict(pair.split("=", 1) for pair in line.split()), json.loads(entry)


def test_a_night_at_a_site() -> None:
    """PostgreSQL, Prefect's server with its password, and the service: a scheduled run is done, with any user."""
    services = _services()
    variables, entry = _image()
    with contextlib.ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        root.chmod(0o711)
        database = services["database"]["environment"]
        address = stack.enter_context(
            postgresql(
                root / "database",
                database["POSTGRES_USER"],
                database["POSTGRES_PASSWORD"],
                database["POSTGRES_DB"],
            )
        )
        port = free_port()
        server = services["prefect"]
        environment = {"PATH": os.defpath, "HOME": str(root)} | server["environment"]
        environment["PREFECT_HOME"] = str(root / "prefect")
        url = environment["PREFECT_API_DATABASE_CONNECTION_URL"]
        environment["PREFECT_API_DATABASE_CONNECTION_URL"] = url.replace("@database:5432", f"@127.0.0.1:{address}")
        command = [str(BIN / server["entrypoint"][0]), *server["command"]]
        command[command.index("4200")], command[command.index("0.0.0.0")] = str(port), "127.0.0.1"  # noqa: S104 (replaced)
        stack.enter_context(running(command, root / "server.txt", environment))

        job = Job(root / "site", {})
        job.root.mkdir()
        shutil.copytree(DEMO_DATA / "MR", job.source)
        job.write_manifest(job.inventory())
        job.write_config(name="nightly-trial", pseudonyms={"key_env": "DEIDFLOW_KEY"}, schedule={"interval": 5})
        (job.root / "job.yaml").rename(job.root / "nightly.yaml")
        service = services["deidflow"]
        given = variables | service["environment"]
        given["PREFECT_API_URL"] = f"http://127.0.0.1:{port}/api"
        given = {name: value.replace("/data", str(job.root)) for name, value in given.items()}
        arguments = [text.replace("/data", str(job.root)) for text in (*entry, *service["command"])]
        given["PATH"] = f"{BIN}:{os.defpath}"
        stack.enter_context(running(contained(job.root, arguments, given), root / "service.txt"))

        end = time.monotonic() + PATIENCE_S
        while not (found := list((job.root / "runs").glob("*/summary.json"))):
            assert time.monotonic() < end, (root / "service.txt").read_text() + (root / "server.txt").read_text()[
                -2000:
            ]
            time.sleep(0.5)
        assert json.loads(found[0].read_text(encoding="utf-8"))["reconciled"]
        assert 401 == httpx.post(f"{given['PREFECT_API_URL']}/flow_runs/filter", json={}).status_code
        name, _, password = given["PREFECT_API_AUTH_STRING"].partition(":")
        runs = httpx.post(f"{given['PREFECT_API_URL']}/flow_runs/filter", json={}, auth=(name, password)).json()
        assert any(run["name"].startswith("nightly-trial-") for run in runs)
        assert "Traceback" not in (root / "service.txt").read_text()


def test_the_image_is_the_lock_and_the_code() -> None:
    """Installed by hash without anything else, and nothing of tests, demo data or work folders is copied."""
    text = (PROJECT / "Containerfile").read_text(encoding="utf-8")
    ignored = (PROJECT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    taken = {line[1:] for line in ignored if line.startswith("!")}

    assert taken == {"requirements.lock", "pyproject.toml", "README.md", "LICENSE", "flows", "tasks"}
    assert all((PROJECT / name).exists() for name in taken)
    assert text.count("pip install") == text.count("--no-deps") == 2
    assert "--require-hashes -r /opt/deidflow/requirements.lock" in text
