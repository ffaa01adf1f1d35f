"""`deidflow init` of a real Orthanc: what it writes is planned and run as it stands."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

from deidflow.tasks.steps.run.settings import load_config
from tests.jobs import DEMO_DATA, with_all_keys

if TYPE_CHECKING:
    import pytest

    from tests.contract.server import Server
    from tests.jobs import Job


def test_a_first_job_on_an_orthanc(job: Job, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """From an address in capitals to results in a folder; an empty server is told, and nothing is written."""
    empty = job("init", server.url)
    assert (2, True, False) == (empty.code, "must hold DICOM objects" in empty.err, (job.root / "job.yaml").exists())
    shutil.copytree(DEMO_DATA / "MR", job.source)
    uploaded = set(server.upload(job.source))

    done = job("init", server.url.replace("http", "HTTP"))

    assert 0 == done.code, done.err
    plan = json.loads(job("plan", "job.yaml", "--json").out)
    assert (len(uploaded), []) == (plan["to_edit"]["instances"], plan["errors"])
    monkeypatch.setenv("DEIDFLOW_KEY", job.key)
    assert load_config(with_all_keys(job.root / "job.yaml")).orthanc.accept_unstable
    ran = json.loads(job("run", "job.yaml", "--json", "--set", "orthanc.accept_unstable=true").out)
    assert ("reconciled", len(uploaded)) == (ran["verdict"], ran["instances"]["done"])
