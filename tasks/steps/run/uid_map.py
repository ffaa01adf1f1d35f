"""What the verifying workers are to know of the identifiers of the whole run, before any of it is edited.

The local engine's identifiers are planned, so all of them are known. A server's are not: of an original that another
call anonymizes it is known that its result is another object. What is known of the same call travels with the work.

Public names: ``MAP_FILE``, ``uid_map_file``, ``uid_map_bytes``, ``uids_of_call``.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.dicom.tags import SERIES_INSTANCE_UID, SOP_INSTANCE_UID, STUDY_INSTANCE_UID
from deidflow.tasks.core.ledger.manifest_rows import count_rows
from deidflow.tasks.core.ledger.results import call_uid_pairs, frames_of_reference, planned_uids, uid_pairs
from deidflow.tasks.core.ledger.uid_map import UidKind, write_uid_map
from deidflow.tasks.core.plan.planner import given_identifiers
from deidflow.tasks.core.pseudonyms.original_uids import WELL_KNOWN
from deidflow.tasks.core.pseudonyms.pseudonyms import Pseudonyms
from deidflow.tasks.core.request.request import Operation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deidflow.tasks.core.request.request import Request
    from deidflow.tasks.steps.run.run import Run

    UidEntry = tuple[str, str, str]

MAP_FILE: Final = "uid_map.tmp"
"""In the run folder, for as long as results are verified."""

_KINDS: Final = (UidKind.STUDY, UidKind.SERIES, UidKind.INSTANCE)
_ANY: Final = UidKind.ANY.value  # plain text: of all else Python asks each time how SQLite is to have it
_UIDS: Final = frozenset({STUDY_INSTANCE_UID, SERIES_INSTANCE_UID, SOP_INSTANCE_UID})


@contextlib.contextmanager
def uid_map_file(run: Run) -> Iterator[None]:
    """Keep the file for the processes of this machine while the block lasts; none where nothing is anonymized."""
    if not count_rows(run.ledger, Operation.ANONYMIZE):
        yield
        return
    path = run.folder / MAP_FILE
    path.unlink(missing_ok=True)
    try:
        write_uid_map(path, _uids(run))
        yield
    finally:
        with contextlib.suppress(OSError):  # where what is open cannot be removed, the next start of the run does it
            path.unlink()


def uid_map_bytes(run: Run) -> bytes:
    """Return the same for workers elsewhere."""
    with uid_map_file(run):
        return (run.folder / MAP_FILE).read_bytes()


def uids_of_call(run: Run, call: int) -> list[UidEntry]:
    """Return what an Orthanc's call made of the UIDs of its instances."""
    return [
        entry for pair in call_uid_pairs(run.ledger, call) for entry in zip(_KINDS, pair[::2], pair[1::2], strict=True)
    ]


def _uids(run: Run) -> Iterator[UidEntry]:
    if run.config.engine == "orthanc":
        requests = run.ledger.requests
        for number, uids in planned_uids(run.ledger, Operation.ANONYMIZE):
            if not _names_uids(requests.get(number)):
                yield from ((kind, uid, "") for kind, uid in zip(_KINDS, uids, strict=True))
        return
    for original, new in uid_pairs(run.ledger, Operation.ANONYMIZE):
        yield _ANY, original, new
    # Frames of reference, which the ledger knows before and the key knows after; of one that has the UID of a study the
    # study counts, which a request may treat otherwise.
    given, pseudonyms = given_identifiers(run.ledger).uids, Pseudonyms(run.key, run.config.scope)
    for original in frames_of_reference(run.ledger, Operation.ANONYMIZE):
        if not original.startswith(WELL_KNOWN):
            yield _ANY, original, given.get(original) or pseudonyms.uid(original)


def _names_uids(request: Request) -> bool:
    """Whether a request says itself what becomes of UIDs of objects, so that they may stay."""
    return any(path.tag in _UIDS for path in request.edits.paths())
