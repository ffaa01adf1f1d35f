"""Read results back and compare them with their sources: nothing of the code that wrote them is used.

Public names: ``Verifier``, ``VerifierSettings``, ``ThirdJudge``.
"""

from __future__ import annotations

import warnings
from collections import OrderedDict
from dataclasses import dataclass
from enum import Enum, auto
from io import BytesIO
from typing import TYPE_CHECKING, BinaryIO, Final
from zlib import crc32

from pydicom import dcmread

from deidflow.tasks.core.engine.protocol import InstanceResult
from deidflow.tasks.core.errors import InstanceFailed, TransientError, Unusable
from deidflow.tasks.core.files.evidence import evidence_of
from deidflow.tasks.core.ledger.uid_map import CallUids, UidMap
from deidflow.tasks.core.outcomes import Outcome, ReasonCode
from deidflow.tasks.core.request.profile_choice import PROFILE_EDITION
from deidflow.tasks.core.request.request import Operation
from deidflow.tasks.verification.by_pydicom.comparison import Asked, compare_by_pydicom, not_judged
from deidflow.tasks.verification.by_pydicom.identifiers import IDENTIFIER_KEYWORDS, check_identifiers
from deidflow.tasks.verification.by_pydicom.overlays import may_be_in_pixels
from deidflow.tasks.verification.comparison import compare
from deidflow.tasks.verification.given_values import check_given
from deidflow.tasks.verification.identifiers import has_identifiers
from deidflow.tasks.verification.identity import check_identity, needs_decoding
from deidflow.tasks.verification.leaks.search import LeakSearch
from deidflow.tasks.verification.painted.judge import PixelJudge
from deidflow.tasks.verification.permitted import permitted
from deidflow.tasks.verification.reader import read_dicom
from deidflow.tasks.verification.record import check_file_meta, check_record
from deidflow.tasks.verification.series.memory import MAX_BYTES, Files, Judging, SeriesMemory
from deidflow.tasks.verification.standard.method_codes import check_codes
from deidflow.tasks.verification.standard.required import check_required
from deidflow.tasks.verification.structure import check_structure, is_what_was_read

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deidflow.tasks.core.engine.protocol import Expected, VerifyWork
    from deidflow.tasks.core.engine.sources import InstanceSource
    from deidflow.tasks.core.engine.stores import ResultStore
    from deidflow.tasks.core.files.opened import OpenedFile
    from deidflow.tasks.core.ledger.uid_map import Uids
    from deidflow.tasks.core.request.profile_choice import ProfileChoice
    from deidflow.tasks.core.request.request import Request
    from deidflow.tasks.verification.by_pydicom.comparison import PixelFate
    from deidflow.tasks.verification.comparison import Judged
    from deidflow.tasks.verification.permitted import Permitted
    from deidflow.tasks.verification.reader import Read

_SAMPLED: Final = 100
_WORTH_LEARNING: Final = 3
"""Judging so many more instances of a series in full takes as long as learning what they have in common."""
_REQUESTS: Final = 16
"""Of which it is kept what they mean; results come request by request."""
_OUTCOMES: Final = {ReasonCode.RESULT_MISSING: Outcome.MISSING, ReasonCode.SOURCE_CHANGED: Outcome.DONE}
_NO_VERDICT: Final = (ReasonCode.INTERNAL_ERROR, ReasonCode.WORKER_DIED)
"""Verifying itself failed."""
_BY_THE_SOURCE: Final = (
    ReasonCode.AMBIGUOUS_ENCODING,
    ReasonCode.PIXEL_DATA_DIFFERS,
    ReasonCode.REFERENCE_BROKEN,
    ReasonCode.RESULT_DIFFERS,
)
"""What a source that was changed since may be to blame for."""


class ThirdJudge(Enum):
    """Which instances pydicom reads beside the verifier's own reader; always those that this cannot judge alone."""

    ALL = auto()
    SAMPLE = auto()
    """The first and the last of each series, and one in a hundred of the others."""
    NEEDED = auto()


@dataclass(frozen=True, slots=True)
class VerifierSettings:
    """What is the same for all instances.

    Attributes:
        source: Where the originals are.
        results: Where the results are.
        hardening: Whether anonymize was to leave no name, no ID, no overlay.
        profile: The PS3.15 profile of the run; None where requests name an Orthanc's.
        written_by_server: Whether an Orthanc wrote the results, so that what Replace and Remove ask for is looked up.
        uid_map: SQLite file of original and new UIDs of the run, or what it holds; None when nothing was anonymized.
        pydicom: Which instances pydicom reads, too.
    """

    source: InstanceSource
    results: ResultStore
    hardening: bool
    profile: ProfileChoice | None = None
    written_by_server: bool = False
    uid_map: str | bytes | None = None
    pydicom: ThirdJudge = ThirdJudge.SAMPLE

    def lacks(self) -> str:
        """Return what keeps this machine from the work, "" for nothing."""
        return self.source.lacks() or self.results.lacks()


class Verifier:
    """Verifier of one run's results."""

    def __init__(self, settings: VerifierSettings) -> None:
        """Open what all instances share."""
        self._settings = settings
        self._by_server = settings.written_by_server
        self._run_uids = UidMap(settings.uid_map) if settings.uid_map else None
        self._uids: Uids | None = self._run_uids
        self._source, self._results = settings.source, settings.results
        self._requests: OrderedDict[str, Request] = OrderedDict()
        self._name = ""
        self._call = 0
        self._uids_of_call: list[tuple[str, str, str]] = []
        self._permitted: dict[tuple[str, bool], Permitted] = {}
        self._series = SeriesMemory()
        self._leaks = LeakSearch(settings.profile, written_by_server=self._by_server, hardens=settings.hardening)
        choice = settings.profile.pixels if settings.profile is not None else None
        self._pixels = PixelJudge(choice) if choice is not None else None
        self._found = ""
        self._judging: Judging | None = None
        self._ahead: Sequence[Expected] = ()

    def verify(self, work: VerifyWork) -> list[InstanceResult]:
        """Verify results.

        Many are read together where that takes fewer requests; what is found wrong then is looked at once more by
        itself, so that no result depends on how a server packs several.

        Returns:
            Those with something to note: what is wrong with one is its outcome, and there may be evidence to keep. One
            that could not be compared, since its source is not there, is done with the code ``source-changed``. The
            evidence of a failed one is that of what stands there now.

        Raises:
            TransientError: A server cannot be reached, which says nothing about a result.
            Unusable: A server cannot be used.

        """
        settings, expected = self._settings, work.expected
        self._uids = CallUids(work.uids, self._run_uids) if work.uids and self._run_uids else self._run_uids
        if list(work.uids) != self._uids_of_call:
            self._call, self._uids_of_call = self._call + 1, list(work.uids)
        results = []
        with (
            settings.source.together([one.instance for one in expected]) as self._source,
            settings.results.together([(one.instance.new, one.result_id) for one in expected]) as self._results,
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            packed = self._source.is_packed or self._results.is_packed
            for given, group in work.groups:
                request, self._judging = self._known(given), None
                for place, one in enumerate(group):
                    self._ahead = group[place + _WORTH_LEARNING : place + _WORTH_LEARNING + 1]
                    result = self._verify_one(request, one)
                    if packed and result is not None and result.code is not None:
                        result = self._verify_by_itself(request, one)
                    if result is not None:
                        results.append(result)
        return results

    def _known(self, given: Request) -> Request:
        """Return one object for all equal requests, since what is known of it is kept from batch to batch."""
        self._name = given.canonical()
        request = self._requests.setdefault(self._name, given)
        self._requests.move_to_end(self._name)
        if len(self._requests) > _REQUESTS:
            name, _ = self._requests.popitem(last=False)
            for hides in (False, True):
                self._permitted.pop((name, hides), None)
        return request

    def _verify_by_itself(self, request: Request, one: Expected) -> InstanceResult | None:
        packed = self._source, self._results
        self._source, self._results = self._settings.source, self._settings.results
        try:
            return self._verify_one(request, one)
        finally:
            self._source, self._results = packed

    def _verify_one(self, request: Request, one: Expected) -> InstanceResult | None:
        number = one.instance.id
        self._found = ""
        try:
            with self._results.open(one.instance.new, one.result_id) as result_file:
                try:
                    self._compare_with_what_is_left(request, one, result_file)
                except (InstanceFailed, TransientError, Unusable):
                    raise
                except Exception as error:  # noqa: BLE001 (its text may hold values)
                    if self._found:
                        self._check_evidence(one)
                    raise not_judged(error, result_file) from None
        except InstanceFailed as problem:
            outcome = _OUTCOMES.get(problem.code, Outcome.FAILED)
            if one.evidence and problem.code in _NO_VERDICT:
                outcome = Outcome.DONE  # it was right, and is byte for byte the same
            return InstanceResult(number, outcome, problem.code, str(problem), self._found)
        if self._found != one.evidence or not one.is_done:
            return InstanceResult(number, Outcome.DONE, evidence=self._found)
        return None

    def _compare_with_what_is_left(self, request: Request, expected: Expected, result_file: OpenedFile) -> None:
        """Compare with the source, or with what was noted of the result before the source was changed or deleted."""
        result_data = result_file.whole(MAX_BYTES)
        self._found = evidence_of(result_file.stream() if result_data is None else result_data, expected.evidence)
        as_planned = False
        try:
            with self._source.reopen(expected.instance) as source_file:
                as_planned = is_what_was_read(source_file, expected.instance, expected.content)
                source_data = source_file.whole(MAX_BYTES) if result_data is not None else None
                if source_data is None or result_data is None:
                    self._compare(request, expected, source_file.stream(), result_file.stream())
                else:
                    files = Files(source_data, result_data)
                    if not (as_planned and self._is_right_by_series(request, expected, files)):
                        self._compare(request, expected, BytesIO(source_data), BytesIO(result_data), files)
                    elif self._is_sampled(expected):
                        self._ask_pydicom(request, expected, (BytesIO(source_data), BytesIO(result_data)))
        except InstanceFailed as problem:
            if problem.code not in _BY_THE_SOURCE or as_planned:
                raise
            self._compare_with_evidence(expected, result_file)
        except (TransientError, Unusable):
            raise
        except Exception as error:
            if isinstance(error, MemoryError) or (as_planned and not isinstance(error, OSError)):
                raise
            self._compare_with_evidence(expected, result_file)
        else:
            self._check_evidence(expected)
            if not as_planned:  # what has changed since may be in what is not compared
                self._compare_with_evidence(expected, result_file)

    def _check_evidence(self, expected: Expected) -> None:
        if expected.evidence and self._found != expected.evidence:
            text = "the result is not what this run wrote, byte for byte"
            raise InstanceFailed(ReasonCode.RESULT_DIFFERS, text)

    def _is_right_by_series(self, request: Request, expected: Expected, files: Files) -> bool:
        """Whether the own reader certainly finds nothing, by what others of its series have shown."""
        if self._settings.pydicom is ThirdJudge.ALL:
            return False
        try:
            return self._series.is_right(self._judging_by(request), expected.instance, files)
        except Exception:  # noqa: BLE001 (bytes that nothing here foresaw: they are judged in full)
            return False

    def _judging_by(self, request: Request) -> Judging:
        """Return by what the group at hand is judged, which is its request's."""
        if self._judging is None:
            allowed = self._allowed(request, hides=False)
            uids, leaks = (self._uids, self._leaks) if allowed.anonymizes else (None, None)
            deciding = frozenset() if self._pixels is None or leaks is None else self._pixels.deciding
            asks_iod = allowed.anonymizes and self._settings.profile is not None
            self._judging = Judging(
                self._name, request, allowed, uids, leaks, self._by_server, self._call, deciding, asks_iod
            )
        return self._judging

    def _compare(
        self,
        request: Request,
        expected: Expected,
        source_file: BinaryIO,
        result_file: BinaryIO,
        files: Files | None = None,
    ) -> None:
        """Compare by the own reader; and by pydicom where that is asked, or where the bytes alone cannot tell.

        Where it is given what the open files hold, the series may learn from it.
        """
        source, result = read_dicom(source_file), read_dicom(result_file)
        if anonymizes := request.operation is Operation.ANONYMIZE:
            self._leaks.check(request, expected.instance, source, result, self._uids)
        painted = hides = False
        both = (source_file, result_file)
        if self._pixels is not None and anonymizes:
            painted = self._pixels.paints(request, source, result, both)
        is_read = all(one.is_whole and not one.passed_over for one in (source, result))
        by_bytes = is_read and not self._by_server
        needs_pydicom = not by_bytes or self._needs_pydicom(request, expected, source, result)
        learns = not needs_pydicom or (self._by_server and is_read)
        if needs_pydicom or self._is_sampled(expected):
            hides = self._ask_pydicom(request, expected, both, painted=painted, needed=needs_pydicom)
        check_structure(result, source)
        is_shared = self._pixels is None or not anonymizes or (not painted and self._pixels.is_shared(source))
        learns = learns and is_shared and not hides and self._series_goes_on(expected)
        noted: list[Judged] = []
        if by_bytes:
            allowed = self._allowed(request, hides=hides)
            if self._pixels is not None:
                allowed = self._pixels.permitted(allowed, source, paints=painted)
            self._compare_bytes(request, expected, (source, result), allowed, noted if learns else None)
        if files is not None and learns:
            self._series.learn(self._judging_by(request), expected.instance, files, (source, result), noted)

    def _series_goes_on(self, expected: Expected) -> bool:
        """Whether so many more instances of the series are to be verified now that it pays to learn from this one."""
        return any(one.instance.original[:3] == expected.instance.original[:3] for one in self._ahead)

    def _ask_pydicom(
        self,
        request: Request,
        expected: Expected,
        files: tuple[BinaryIO, BinaryIO],
        *,
        painted: bool = False,
        needed: bool = False,
    ) -> bool:
        """Have pydicom compare, and return whether bits of pixels were to be cleared; raise as it does."""
        settings = self._settings
        cleans = settings.profile is not None and request.operation is Operation.ANONYMIZE
        pixels: PixelFate = "painted" if painted else "cleaned" if cleans else "same"
        asked = Asked(settings.hardening, self._by_server, pixels, needed or self._by_server)
        return bool(compare_by_pydicom(request, expected.instance, files, self._uids, asked))

    def _is_sampled(self, expected: Expected) -> bool:
        """Whether pydicom reads an instance, too: a hundredth by a hash of its UID, so that a run can be repeated."""
        judge, uid = self._settings.pydicom, expected.instance.new.sop_instance_uid
        if judge is not ThirdJudge.SAMPLE:
            return judge is ThirdJudge.ALL
        return expected.ends_series or not crc32(uid.encode()) % _SAMPLED

    def _needs_pydicom(self, request: Request, expected: Expected, source: Read, result: Read) -> bool:
        """Whether bytes alone cannot tell."""
        hardens = request.operation is Operation.ANONYMIZE and self._settings.hardening
        if not has_identifiers(source, result, expected.instance):
            return True
        return hardens and (needs_decoding(source, result) or may_be_in_pixels(source))

    def _compare_bytes(
        self,
        request: Request,
        expected: Expected,
        reads: tuple[Read, Read],
        allowed: Permitted,
        noted: list[Judged] | None,
    ) -> None:
        """Compare element by element what the local engine wrote; a server writes a whole dataset anew."""
        source, result = reads
        compare(source, result, allowed, self._uids if allowed.anonymizes else None, noted)
        check_given(request, result)
        check_file_meta(source, result, anonymizes=allowed.anonymizes, recodes=allowed.recodes)
        if allowed.anonymizes:
            if self._settings.hardening:
                check_identity(request, expected.instance, source, result)
            edition = PROFILE_EDITION if self._settings.profile else request.settings.dicom_version
            check_record(request, expected.instance, source, result, edition)
            if self._settings.profile:
                treated = self._leaks.treated(request)
                check_codes(request, self._settings.profile, treated, source, result)
                check_required(request, source, result)

    def _allowed(self, request: Request, *, hides: bool) -> Permitted:
        """Return what the request of the group at hand permits."""
        allowed = self._permitted.get((self._name, hides))
        if allowed is None:
            settings = self._settings
            allowed = permitted(request, hardening=settings.hardening, hidden_bits=hides, profile=settings.profile)
            self._permitted[self._name, hides] = allowed
        return allowed

    def _compare_with_evidence(self, expected: Expected, result_file: OpenedFile) -> None:
        """Do what can be done when the source is gone, changed or not to be read."""
        stream = result_file.stream()
        stream.seek(0)
        result = dcmread(stream, force=True, stop_before_pixels=True)
        if not expected.evidence:
            check_identifiers(result, expected.instance)
            text = "the source is not there as it was, so that the result cannot be compared with it"
            raise InstanceFailed(ReasonCode.SOURCE_CHANGED, text)
        self._check_evidence(expected)
        check_identifiers(result, expected.instance, frozenset(IDENTIFIER_KEYWORDS))
