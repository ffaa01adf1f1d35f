"""Which results pydicom reads beside the verifier's own reader."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, Any

import pydicom
import pytest
from pydicom.errors import BytesLengthException

from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers, Level
from deidflow.tasks.core.engine.protocol import VerifyWork
from deidflow.tasks.core.errors import InstanceFailed
from deidflow.tasks.core.ledger.results import ToVerify, chunks_to_verify, pages_to_verify
from deidflow.tasks.core.outcomes import Outcome, ReasonCode
from deidflow.tasks.core.request.request import Operation, parse_request
from deidflow.tasks.local.folder.source import FolderSource
from deidflow.tasks.local.folder.store import FolderStore
from deidflow.tasks.verification import verifier
from deidflow.tasks.verification.by_pydicom.comparison import compare_by_pydicom
from deidflow.tasks.verification.by_pydicom.references import check_references, walk_identity
from deidflow.tasks.verification.verifier import ThirdJudge, Verifier, VerifierSettings
from tests.dicom_files import Element, Item, instance
from tests.local.folders import write_instances
from tests.steps.steps import Steps

if TYPE_CHECKING:
    from pathlib import Path

    from deidflow.tasks.core.engine.protocol import PlannedInstance

COUNT = 6
STUDY = DicomIdentifiers("P-1", "1.2.3.1", "1.2.3.1.1", "1.2.3.1.1.0").orthanc_id(Level.STUDY)


@pytest.mark.parametrize(
    ("judge", "wanted"),
    [(ThirdJudge.ALL, range(COUNT)), (ThirdJudge.SAMPLE, (0, COUNT - 1)), (ThirdJudge.NEEDED, ())],
    ids=lambda value: value.name if isinstance(value, ThirdJudge) else "",
)
def test_the_first_and_the_last_of_a_series(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, judge: ThirdJudge, wanted: tuple[int, ...]
) -> None:
    """Pages of two instances: it is the series that has a first and a last one, not the page."""
    write_instances(tmp_path / "source", COUNT)
    steps = Steps(tmp_path)
    steps.plan([STUDY])
    steps.edit()
    judged: list[int] = []
    compare = compare_by_pydicom

    def noted(request: Any, instance: PlannedInstance, *files: Any, **settings: Any) -> int:
        judged.append(instance.id)
        return compare(request, instance, *files, **settings)

    monkeypatch.setattr(verifier, "compare_by_pydicom", noted)
    monkeypatch.setattr(verifier, "crc32", lambda _: 1)  # none of the others by chance

    found = _one_by_one(steps, judge)

    assert {None} == set(found.values())
    assert [list(found)[at] for at in wanted] == judged


@pytest.mark.parametrize("judge", [ThirdJudge.ALL, ThirdJudge.SAMPLE])
def test_pydicom_fails_what_is_right_by_its_series(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, judge: ThirdJudge
) -> None:
    """The last of a series, whose bytes are those of the others: what pydicom alone sees counts."""
    write_instances(tmp_path / "source", COUNT)
    steps = Steps(tmp_path)
    steps.plan([STUDY])
    steps.edit()
    numbers = list(_one_by_one(steps, ThirdJudge.NEEDED))
    compare = compare_by_pydicom

    def doubting(request: Any, instance: PlannedInstance, *files: Any, **settings: Any) -> int:
        if instance.id == numbers[-1]:
            raise InstanceFailed(ReasonCode.REFERENCE_BROKEN, "no")
        return compare(request, instance, *files, **settings)

    monkeypatch.setattr(verifier, "compare_by_pydicom", doubting)

    found = _one_by_one(steps, judge)

    assert [None] * (COUNT - 1) + [ReasonCode.REFERENCE_BROKEN] == list(found.values())


def _one_by_one(steps: Steps, judge: ThirdJudge) -> dict[int, ReasonCode | None]:
    """Verify all results, each by itself and in pages of two; return what was found by the instances' numbers."""
    results = Verifier(
        VerifierSettings(
            source=FolderSource(os.fsencode(steps.root / "source")),
            results=FolderStore(str(steps.root / "results")),
            hardening=True,
            pydicom=judge,
        )
    )
    found: dict[int, ReasonCode | None] = {}
    ledger, all_done = steps.run.ledger, ToVerify(again=False, verified=False, full=True)
    for page in (
        page for chunk in chunks_to_verify(ledger, all_done) for page in pages_to_verify(ledger, all_done, chunk, 2)
    ):
        for one in page:
            expected = one.expected._replace(evidence="", is_done=True, content="")
            (result,) = results.verify(VerifyWork([(ledger.requests.get(one.request), [expected])]))
            found[expected.instance.id] = result.code
    return found


@pytest.mark.parametrize(
    "odd",
    [
        instance(SpecificCharacterSet="zlib", ImageComments="Ä"),  # the name of a codec that reads no text
        instance(Element(0x00280106, "US", b"\0\0\0\0\0")),
    ],
    ids=["character set", "length of a number"],
)
def test_a_source_that_pydicom_cannot_read(tmp_path: Path, odd: bytes) -> None:
    """Its bytes tell that the result is right; pydicom is no judge of what it cannot read in the source, either."""
    source = pydicom.dcmread(io.BytesIO(odd), force=True)
    with pytest.raises((LookupError, BytesLengthException)):
        list(source.iterall())
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "odd.dcm").write_bytes(odd)
    steps = Steps(tmp_path)
    steps.plan([STUDY], operation="modify", options={"Replace": {"StudyDescription": "new"}})
    steps.edit()

    assert 0 == steps.verify()
    assert 1 == steps.report().instances[Outcome.DONE]
    assert 0 == steps.verify(again=True, deep=True)


def test_a_file_meta_that_names_another_object(tmp_path: Path) -> None:
    """UIDs are kept, and the source's file meta is untrue: the result's is true, and all readers find it right."""
    write_instances(tmp_path / "source", 1)
    (file,) = (tmp_path / "source").iterdir()
    file.write_bytes(file.read_bytes().replace(b"1.2.3.1.1.0", b"1.2.3.1.1.9", 1))
    source = pydicom.dcmread(file)
    assert source.file_meta.MediaStorageSOPInstanceUID != source.SOPInstanceUID
    kept = ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"]
    steps = Steps(tmp_path)
    steps.plan(
        [STUDY], operation="modify", options={"Replace": {"StudyDescription": "new"}, "Keep": kept, "Force": True}
    )
    steps.edit()

    assert 0 == steps.verify(deep=True)

    assert steps.report().reconciled
    (result,) = (pydicom.dcmread(path) for path in (tmp_path / "results").rglob("*.dcm"))
    assert "1.2.3.1.1.0" == result.SOPInstanceUID == result.file_meta.MediaStorageSOPInstanceUID


def test_sequences_are_remembered_with_how_they_are_read() -> None:
    """The same bytes in two character sets, by turns."""
    name = Element(0x00100010, "PN", "\u00e9b".encode() + b" ")
    uid = Element(0x00081155, "UI", b"1.2.3\0")
    sequence = Element(0x00081140, "SQ", (Item((uid, name)),))
    for charset, expected in (("ISO_IR 192", "\u00e9b"), ("ISO_IR 100", "\u00c3\u00a9b")) * 2:
        data = instance(sequence, SpecificCharacterSet=charset)
        found = dict(walk_identity(pydicom.dcmread(io.BytesIO(data))))
        assert found[0x00081140, 0, 0x00081155] == ("1.2.3",)
        assert expected == found[0x00081140, 0, 0x00100010]


class _Renamed:
    """The original of one UID and what it became."""

    def get(self, tag: int, original: str) -> str | None:
        """See ``Uids``; of any tag."""
        return "2.25.1" if tag and original == "1.2.3" else None


@pytest.mark.parametrize(
    ("uid", "code"),
    [(b"2.25.1", None), (b"1.2.3\0", ReasonCode.IDENTIFIER_LEFT), (b"2.25.2", ReasonCode.REFERENCE_BROKEN)],
    ids=["right", "left", "another"],
)
@pytest.mark.parametrize("vr", ["UI", "UN", "LO"])
def test_references_in_whatever_vr(uid: bytes, code: ReasonCode | None, vr: str) -> None:
    """Of a public attribute."""
    source = _read(Element(0x00200052, vr, b"1.2.3\0"))
    found = list(walk_identity(_read(Element(0x00200052, vr, uid))))
    request = parse_request(Operation.ANONYMIZE, {"DicomVersion": "2023b"})

    if code is None:
        check_references(request, source, found, _Renamed())
    else:
        with pytest.raises(InstanceFailed) as problem:
            check_references(request, source, found, _Renamed())
        assert code is problem.value.code


def _read(*elements: Element) -> pydicom.Dataset:
    return pydicom.dcmread(io.BytesIO(instance(*elements)))
