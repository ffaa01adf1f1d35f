"""Whether results are in a destination folder under their identifiers; read by the index, which is quick.

It is no verification: the index is the code that planned them.

Public names: ``find_results``, ``PresenceSettings``, ``start_presence``, ``presence_in_worker``.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from deidflow.tasks.core.engine.protocol import InstanceResult
from deidflow.tasks.core.engine.result_paths import open_result
from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.files.beneath import KeptFolder
from deidflow.tasks.core.outcomes import Outcome, ReasonCode
from deidflow.tasks.local.folder.index import read_identifiers
from deidflow.tasks.local.folder.shared_identifiers import SharedIdentifiers
from deidflow.tasks.local.folder.store import FolderStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers
    from deidflow.tasks.core.engine.protocol import Expected, VerifyWork
    from deidflow.tasks.core.request.request import Request


def find_results(
    destination: str, work: Sequence[tuple[Request, Sequence[Expected]]], shared: SharedIdentifiers
) -> list[InstanceResult]:
    """Look for results.

    Args:
        destination: The folder.
        work: What is expected, by request.
        shared: What was remembered of results before.

    Returns:
        Those that are missing or have other identifiers.

    """
    results = []
    with KeptFolder(destination) as kept:
        for one in chain.from_iterable(expected for _, expected in work):
            try:
                _find(destination, kept, one.instance.new, shared)
            except InstanceFailed as problem:
                missing = problem.code is ReasonCode.RESULT_MISSING
                outcome = Outcome.MISSING if missing else Outcome.FAILED
                results.append(InstanceResult(one.instance.id, outcome, problem.code, str(problem)))
    return results


def _find(destination: str, kept: KeptFolder, new: DicomIdentifiers, shared: SharedIdentifiers) -> None:
    if read_identifiers(open_result(destination, new, kept).detach(), shared) != new:
        raise InstanceFailed(ReasonCode.RESULT_DIFFERS, "the result has other identifiers than planned")


@dataclass(frozen=True, slots=True)
class PresenceSettings:
    """Where results are looked for.

    Attributes:
        destination: The folder.

    """

    destination: str

    def lacks(self) -> str:
        """Look for the folder."""
        return FolderStore(self.destination).lacks()


_of_this_thread = threading.local()


def start_presence(settings: PresenceSettings) -> None:
    """Prepare this thread."""
    _of_this_thread.destination, _of_this_thread.shared = settings.destination, SharedIdentifiers()


def presence_in_worker(work: VerifyWork) -> list[InstanceResult]:
    """Run ``find_results`` in a thread that was prepared."""
    return find_results(_of_this_thread.destination, work.groups, _of_this_thread.shared)
