"""The engine broken on purpose as the parity suite breaks it: verifying alone notices each."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from deidflow.tasks.core.engine.protocol import Expected, VerifyWork
from deidflow.tasks.core.ledger.uid_map import UidKind, write_uid_map
from deidflow.tasks.core.outcomes import Outcome
from deidflow.tasks.core.request.request import Operation, parse_request
from deidflow.tasks.local.folder.source import FolderSource
from deidflow.tasks.local.folder.store import FolderStore
from deidflow.tasks.local.worker import Worker
from deidflow.tasks.verification.verifier import Verifier, VerifierSettings
from tests.contract.parity.built import built_files
from tests.contract.parity.images import image_files
from tests.contract.parity.test_mutations import MUTATIONS
from tests.local.folders import planned, settings_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from deidflow.tasks.core.request.request import Request


def found(root: Path, name: str, request: Request, edited_by: Request) -> list[str]:
    """Edit a file and verify the result, as the first of its series; return what is wrong with it."""
    source = root / "source"
    source.mkdir(parents=True)
    for number, data in enumerate(data for file, data in (*built_files(), *image_files()) if file == name):
        (source / str(number)).write_bytes(data)
    plan, given = planned(source, request)
    results = Worker(settings_for(source, root / "results", given)).edit([(edited_by, plan)])
    assert [] == [(result.code, result.text) for result in results if result.outcome is not Outcome.DONE]
    pairs = (zip(one.original[1:], one.new[1:], strict=True) for one in plan)
    write_uid_map(root / "uids", ((UidKind.ANY, *pair) for three in pairs for pair in three))
    settings = VerifierSettings(
        source=FolderSource(os.fsencode(source)),
        results=FolderStore(str(root / "results")),
        hardening=True,
        uid_map=str(root / "uids") if request.operation is Operation.ANONYMIZE else None,
    )
    expected = [Expected(one, ends_series=True) for one in plan]
    return [
        f"{one.code}: {one.text}" for one in Verifier(settings).verify(VerifyWork([(request, expected)])) if one.code
    ]


@pytest.mark.parametrize(("mutate", "name", "operation", "body"), MUTATIONS, ids=[row[0].__name__ for row in MUTATIONS])
def test_breaking_the_engine_is_noticed(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    mutate: Callable[[pytest.MonkeyPatch], None],
    name: str,
    operation: Operation,
    body: dict[str, Any],
) -> None:
    """Sound, nothing is found; broken, something is. What reads requests is broken for the editor alone."""
    request = parse_request(operation, body)
    assert [] == found(tmp_path / "sound", name, request, request)
    mutate(monkeypatch)

    assert found(tmp_path / "broken", name, request, parse_request(operation, body))
