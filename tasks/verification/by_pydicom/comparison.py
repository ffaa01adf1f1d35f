"""A result as pydicom reads it, compared with its source as pydicom reads that: the third judge.

Public names: ``compare_by_pydicom``, ``not_judged``, ``Asked``, ``PixelFate``.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, BinaryIO, Final, Literal, NamedTuple

from pydicom import dcmread

from deidflow.tasks.core.errors import DeidflowError, InstanceFailed, os_error_text, unforeseen
from deidflow.tasks.core.outcomes import ReasonCode
from deidflow.tasks.core.request.request import Operation
from deidflow.tasks.verification.by_pydicom.decoded_pixels import check_interpretation
from deidflow.tasks.verification.by_pydicom.given_values import check_given_values
from deidflow.tasks.verification.by_pydicom.identifiers import check_identifiers, same_bytes
from deidflow.tasks.verification.by_pydicom.identity import check_nothing_left
from deidflow.tasks.verification.by_pydicom.inflation import inflatable
from deidflow.tasks.verification.by_pydicom.pixels import check_pixels, check_recoded, hidden_bits
from deidflow.tasks.verification.by_pydicom.references import check_references, walk_identity

if TYPE_CHECKING:
    from deidflow.tasks.core.engine.protocol import PlannedInstance
    from deidflow.tasks.core.files.opened import OpenedFile
    from deidflow.tasks.core.ledger.uid_map import Uids
    from deidflow.tasks.core.request.request import Request

_PIXEL_DATA_GROUP: Final = 0x7FE0
_PHOTOMETRIC: Final = 0x00280004
_NO_JUDGE: Final = "pydicom cannot read the source, and its bytes alone do not tell whether the result is right"

PixelFate = Literal["same", "cleaned", "painted"]


class Asked(NamedTuple):
    """What is compared.

    Attributes:
        hardening: Whether anonymize was to leave no name, no ID, no overlay.
        written_by_server: Whether an Orthanc wrote the result, so that what Replace and Remove ask for is looked up.
        pixels: Whether pixel data is the same, or texts in compressed frames are gone (``cleaned``), or it was painted
            over, so that others compare it.
        is_needed: Whether there is no other judge.

    """

    hardening: bool
    written_by_server: bool
    pixels: PixelFate = "same"
    is_needed: bool = True


def compare_by_pydicom(
    request: Request, instance: PlannedInstance, files: tuple[BinaryIO, BinaryIO], uids: Uids | None, asked: Asked
) -> int:
    """Compare what the elements mean, where pydicom can read the source: what it cannot read there it cannot compare.

    Args:
        request: Of the row.
        instance: What was planned.
        files: Source and result, open; where they stand does not matter.
        uids: Of the run, None where nothing was anonymized.
        asked: What is compared.

    Returns:
        Which bits of each pixel were to be cleared.

    Raises:
        InstanceFailed: What is wrong, with the keyword; or that nobody can tell.

    """
    try:
        return _compare(request, instance, files, uids, asked)
    except DeidflowError:
        raise
    except Exception as error:
        if (isinstance(error, OSError) and error.errno is not None) or _can_read(files[0]):
            raise
        if asked.is_needed:
            raise InstanceFailed(ReasonCode.AMBIGUOUS_ENCODING, _NO_JUDGE) from None
        return 0


def not_judged(error: Exception, result: OpenedFile) -> InstanceFailed:
    """Return what an error that nobody foresaw says: that the result is none, or nothing about the result.

    Args:
        error: Raised while the result was judged.
        result: Open, and byte for byte what was written, as far as that is known.

    """
    if isinstance(error, OSError) and error.errno is not None:
        return InstanceFailed(ReasonCode.RESULT_DIFFERS, f"the result cannot be read: {os_error_text(error)}")
    if isinstance(error, MemoryError) or _can_read(result.stream()):
        return unforeseen(error, "verifying")
    return InstanceFailed(ReasonCode.RESULT_DIFFERS, f"the result cannot be read back ({type(error).__name__})")


def _can_read(file: BinaryIO) -> bool:
    """Whether pydicom reads every value of a file but its pixels."""
    file.seek(0)
    try:
        read = dcmread(inflatable(file), force=True, stop_before_pixels=True)
        for element in chain(read.file_meta, read.iterall()):
            _ = element.value
    except Exception:  # noqa: BLE001 (it has no error of its own for what it cannot read)
        return False
    return True


def _compare(
    request: Request, instance: PlannedInstance, files: tuple[BinaryIO, BinaryIO], uids: Uids | None, asked: Asked
) -> int:
    hardening, written_by_server, pixels, _ = asked
    for file in files:
        file.seek(0)
    source_file, result_file = map(inflatable, files)
    source = dcmread(source_file, force=True, stop_before_pixels=True)
    result = dcmread(result_file, force=True, stop_before_pixels=True)
    check_identifiers(result, instance, same_bytes(source, result, instance))
    if written_by_server:
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
    if pixels != "painted" and not request.settings.transcode and not _names_pixels(request):
        check_pixels((source, result), (source_file, result_file), hidden, cleans_frames=pixels == "cleaned")
    return hidden


def _names_pixels(request: Request) -> bool:
    return any(path.tag >> 16 == _PIXEL_DATA_GROUP for path in (*request.edits.replace, *request.edits.remove))
