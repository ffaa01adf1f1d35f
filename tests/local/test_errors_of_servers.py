"""What a server asks for reaches the process that waits: a worker's error keeps its class and its fields."""

from __future__ import annotations

import http.server
import pickle
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from deidflow.tasks.core.config.config import OrthancAccess
from deidflow.tasks.core.engine.protocol import Call, Chunk
from deidflow.tasks.core.errors import TransientError
from deidflow.tasks.core.processes.cluster import do_on_cluster
from deidflow.tasks.core.processes.workers import Role
from deidflow.tasks.core.request.request import Operation, parse_request
from deidflow.tasks.local.worker import edit_in_worker, start_worker
from deidflow.tasks.orthanc.connection.errors import ServerError
from deidflow.tasks.orthanc.store import OrthancServer, OrthancSource
from tests.local.folders import engine_with, planned, settings_for, write_instances

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MODIFY = parse_request(Operation.MODIFY, {"Replace": {"SeriesDescription": "HELLO"}})


class _Busy(http.server.BaseHTTPRequestHandler):
    """A proxy in front of an Orthanc that is being restarted."""

    def do_GET(self) -> None:
        """Say when to come again."""
        self.send_response(503)
        self.send_header("Retry-After", "30")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def busy() -> Iterator[OrthancServer]:
    """Give the address of a source that is busy."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Busy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield OrthancServer(f"http://127.0.0.1:{server.server_port}", OrthancAccess(), None)
        server.shutdown()


def test_retry_after_reaches_the_flow(tmp_path: Path, busy: OrthancServer) -> None:
    """From a worker process, and from a worker of a cluster."""
    write_instances(tmp_path / "source", 1)
    plan, given = planned(tmp_path / "source", MODIFY)
    settings = replace(settings_for(tmp_path / "source", tmp_path / "results", given), source=OrthancSource(busy))

    with engine_with(settings, 1) as engine, pytest.raises(TransientError) as caught:
        engine.apply(Chunk("c0001", [Call(MODIFY, plan)]), lambda _: None, lambda: False)
    packed = pickle.dumps((edit_in_worker, [(MODIFY, plan)]))
    travelled = pickle.loads(do_on_cluster("a run", [Role(start_worker, settings)], packed))  # noqa: S301 (our own)

    for error in (caught.value, travelled):
        assert isinstance(error, ServerError)
        assert (30.0, 503) == (error.retry_after_s, error.http_status)
