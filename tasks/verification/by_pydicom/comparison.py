"""A result as pydicom reads it, compared with its source as pydicom reads that: the third judge.

Public names: ``compare_by_pydicom``, ``PixelFate``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, Final, Literal

from pydicom import dcmread

from deidflow.tasks.core.request.request import Operation
from deidflow.tasks.verification.by_pydicom.decoded_pixels import check_interpretation
from deidflow.tasks.verification.by_pydicom.given_values import check_given_values
from deidflow.tasks.verification.by_pydicom.identifiers import check_identifiers, same_bytes
from deidflow.tasks.verification.by_pydicom.inflation import inflatable
from deidflow.tasks.verification.by_pydicom.leftovers import check_nothing_left
from deidflow.tasks.verification.by_pydicom.pixels import check_pixels, check_recoded, hidden_bits
from deidflow.tasks.verification.by_pydicom.references import check_references, walk_identity

if TYPE_CHECKING:
    from deidflow.tasks.core.engine.protocol import PlannedInstance
    from deidflow.tasks.core.ledger.uid_map import Uids
    from deidflow.tasks.core.request.request import Request

_PIXEL_DATA_GROUP: Final = 0x7FE0
_PHOTOMETRIC: Final = 0x00280004

PixelFate = Literal["same", "cleaned", "painted"]


def compare_by_pydicom(
    request: Request,
    instance: PlannedInstance,
    files: tuple[BinaryIO, BinaryIO],
    *,
    uids: Uids | None,
    hardening: bool,
    given_values: bool,
    pixels: PixelFate = "same",
) -> int:
    """Compare what the elements mean.

    Args:
        request: Of the row.
        instance: What was planned.
        files: Source and result, open; where they stand does not matter.
        uids: Of the run, None where nothing was anonymized.
        hardening: Whether anonymize was to leave no name, no ID, no overlay.
        given_values: Whether what Replace and Remove ask for is looked up.
        pixels: Whether pixel data is the same, or texts in compressed frames are gone (``cleaned``), or it was painted
            over, so that others compare it.

    Returns:
        Which bits of each pixel were to be cleared.

    Raises:
        InstanceFailed: What is wrong, with the keyword.

    """
    for file in files:
        file.seek(0)
    source_file, result_file = map(inflatable, files)
    source = dcmread(source_file, force=True, stop_before_pixels=True)
    result = dcmread(result_file, force=True, stop_before_pixels=True)
    check_identifiers(result, instance, same_bytes(source, result, instance))
    if given_values:
        check_given_values(request, result)
    anonymized = request.operation is Operation.ANONYMIZE
    identity = list(walk_identity(result)) if anonymized else []
    if anonymized and uids is not None:
        check_references(request, source, identity, uids)
    if anonymized and hardening:
        check_nothing_left(request, source, result, identity)
    hidden = hidden_bits(source, request) if anonymized and hardening else 0
    if request.settings.transcode and _PHOTOMETRIC not in {path.tag for path in request.edits.paths()}:
        check_interpretation(source, result)
    if request.settings.transcode and pixels != "painted" and not _names_pixels(request):
        check_recoded(source_file, result_file, hidden)
    if pixels != "painted" and not _touches_pixels(request):
        check_pixels((source, result), (source_file, result_file), hidden, cleans_frames=pixels == "cleaned")
    return hidden


def _touches_pixels(request: Request) -> bool:
    return bool(request.settings.transcode) or _names_pixels(request)


def _names_pixels(request: Request) -> bool:
    return any(path.tag >> 16 == _PIXEL_DATA_GROUP for path in (*request.edits.replace, *request.edits.remove))
