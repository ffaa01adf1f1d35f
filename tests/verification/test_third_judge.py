"""Which results pydicom reads beside the verifier's own reader."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pydicom
import pytest

from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers, Level
from deidflow.tasks.core.engine.protocol import Expected, VerifyWork
from deidflow.tasks.core.ledger.results import ToVerify, chunks_to_verify, pages_to_verify
from deidflow.tasks.local.folder.source import FolderSource
from deidflow.tasks.local.folder.store import FolderStore
from deidflow.tasks.verification import verifier
from deidflow.tasks.verification.by_pydicom.comparison import compare_by_pydicom
from deidflow.tasks.verification.verifier import ThirdJudge, Verifier, VerifierSettings
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
    results = Verifier(
        VerifierSettings(
            source=FolderSource(os.fsencode(tmp_path / "source")),
            results=FolderStore(str(tmp_path / "results")),
            hardening=True,
            pydicom=judge,
        )
    )
    numbers = []
    ledger, all_done = steps.run.ledger, ToVerify(again=False, verified=False, full=True)
    for page in (
        page for chunk in chunks_to_verify(ledger, all_done) for page in pages_to_verify(ledger, all_done, chunk, 2)
    ):
        for one in page:
            numbers.append(one.instance.id)
            expected = Expected(one.instance, result_id=one.result_id, ends_series=one.ends_series)
            found = results.verify(VerifyWork([(ledger.requests.get(one.request), [expected])]))
            assert [None] == [result.code for result in found]

    assert [numbers[at] for at in wanted] == judged


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
