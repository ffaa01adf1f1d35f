"""Orthanc's own tests of modify, anonymize and the bulk routes, on `deidflow run`; docs/orthanc.md has the table.

Each is named as upstream. What a version refuses, and what deidflow refuses by its own rules, is asserted, too.
"""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

import pytest

from tests.contract.server import SETTINGS, Server, require_orthanc
from tests.contract.upstream.case import Case, Side
from tests.contract.upstream.cases import CASES
from tests.contract.upstream.sides import Refused, carry_out
from tests.orthanc_server import OrthancServer, extra_roots

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.jobs import Job


def _cases(side: Side) -> list[object]:
    asked = [case for case in CASES if side is not Side.LOCAL or not case.elsewhere]
    return [pytest.param(case, id=case.name, marks=() if case.quick else pytest.mark.versions) for case in asked]


@pytest.fixture(
    scope="module",
    params=[None, *(pytest.param(root, marks=pytest.mark.versions) for root in extra_roots())],
    ids=lambda root: root.name if root else "system",
)
def shared(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server for all cases; each begins by emptying it."""
    root: Path | None = request.param
    if root is None:
        require_orthanc()
    with OrthancServer(root, SETTINGS) as running, contextlib.closing(Server(running)) as made:
        yield made


def _hold(case: Case, side: Side, job: Job, server: Server | None, request: pytest.FixtureRequest) -> None:
    version = () if server is None else tuple(int(part) for part in server.running.version.split("."))
    if not case.is_asked(side, version):
        pytest.skip("upstream asserts it of newer versions only")
    if reason := case.fault(side, version):
        request.applymarker(pytest.mark.xfail(strict=True, reason=reason))
    if case.is_refused(side, version):
        with pytest.raises(Refused):
            carry_out(case, side, job, server)
        return
    results = carry_out(case, side, job, server)
    assert case.check is not None
    case.check(results)


@pytest.mark.parametrize("side", [Side.ROUTE, Side.ORTHANC], ids=["route", "engine"])
@pytest.mark.parametrize("case", _cases(Side.ORTHANC))
def test_upstream(case: Case, side: Side, shared: Server, job: Job, request: pytest.FixtureRequest) -> None:
    """The bare route, which is the control, and engine orthanc."""
    if not case.settings:
        _hold(case, side, job, shared, request)
        return
    settings = {**SETTINGS, **case.settings}
    with OrthancServer(shared.running.root, settings) as running, contextlib.closing(Server(running)) as own:
        _hold(case, side, job, own, request)


@pytest.mark.parametrize("case", _cases(Side.LOCAL))
def test_upstream_local(case: Case, job: Job, request: pytest.FixtureRequest) -> None:
    """Engine local, wherever the contract makes it comparable."""
    logging.getLogger("pydicom").setLevel(logging.ERROR)
    _hold(case, Side.LOCAL, job, None, request)
