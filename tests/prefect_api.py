"""Prefect's API, as its user interface uses it, for tests of served runs.

Public names: ``Api``, ``FINAL``.
"""

from __future__ import annotations

import time
from typing import Any, Final

import httpx

FINAL: Final = ("COMPLETED", "FAILED", "CANCELLED", "CRASHED")
_PATIENCE_S: Final = 200.0
_BUSY: Final = 503
"""What the server answers while its SQLite is locked."""


class Api:
    """A client of the server that a URL names."""

    def __init__(self, url: str) -> None:
        """Take the address, as in PREFECT_API_URL."""
        self._client = httpx.Client(base_url=url, timeout=30)

    def close(self) -> None:
        """Give back the connection."""
        self._client.close()

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        """Send a request, again while the server is busy."""
        end = time.monotonic() + _PATIENCE_S
        while True:
            try:
                answer = self._client.request(method, path, json=body)
            except httpx.ReadTimeout:
                answer = None
            if answer is not None and answer.status_code != _BUSY:
                return answer
            if time.monotonic() > end:
                raise TimeoutError(path)
            time.sleep(0.5)

    def post(self, path: str, **body: Any) -> Any:
        """Send a POST; return the answer's JSON."""
        return self.ask("POST", path, body).raise_for_status().json()

    def deployment(self, name: str) -> str:
        """Wait for a deployment; return its number."""
        end = time.monotonic() + _PATIENCE_S
        while time.monotonic() < end:
            if found := self.post("deployments/filter", deployments={"name": {"any_": [name]}}):
                return str(found[0]["id"])
            time.sleep(0.3)
        raise TimeoutError(name)

    def start(self, deployment: str, **parameters: Any) -> str:
        """Ask for a run now; return its number."""
        body = {"parameters": parameters, "state": {"type": "SCHEDULED"}}
        return str(self.post(f"deployments/{deployment}/create_flow_run", **body)["id"])

    def cancel(self, run: str) -> None:
        """Do what the button Cancel does."""
        self.post(f"flow_runs/{run}/set_state", state={"type": "CANCELLING"})

    def state(self, run: str) -> dict[str, Any]:
        """Return the state of a flow run."""
        return dict(self.ask("GET", f"flow_runs/{run}").raise_for_status().json()["state"])

    def end_of(self, run: str) -> dict[str, Any]:
        """Wait for the final state of a flow run; return it."""
        end = time.monotonic() + _PATIENCE_S
        while (state := self.state(run))["type"] not in FINAL:
            if time.monotonic() > end:
                raise TimeoutError(state)
            time.sleep(0.3)
        return state

    def runs(self, **wanted: Any) -> list[dict[str, Any]]:
        """Return flow runs by Prefect's filter."""
        return list(self.post("flow_runs/filter", flow_runs=wanted))
