"""What a person should look at before results are given away is known before a run, and exactly after it."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any

import pytest
from ruamel.yaml import YAML

from deidflow.tasks.core.config.pixel_rules.sources import risks_text
from deidflow.tasks.core.engine.review import ReviewCode, may_show_text
from deidflow.tasks.local.dicom_file.source_file import SourceFile
from deidflow.tasks.local.folder.index import read_index_entries
from deidflow.tasks.local.worker import edit_source
from tests.dicom_files import BIG, DEFLATED, EXPLICIT, IMPLICIT, UNCOMPRESSED, Element, Syntax, instance
from tests.local.edits import anonymize

if TYPE_CHECKING:
    from pathlib import Path

    from tests.jobs import Job

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
FAR = Element(0x00111001, "OB", b"\0" * 20000)
"""Before BurnedInAnnotation, which then lies behind what the index reads."""


def planned(folder: Path, data: bytes) -> str:
    """Return the code that the index gives."""
    (folder / "a.dcm").write_bytes(data)
    (entry,) = read_index_entries(str(folder).encode(), [b"a.dcm"])
    return str(getattr(entry, "review"))  # noqa: B009 (a problem has none, and then this fails)


def edited(data: bytes) -> bool:
    """Return whether the engine notes that text is burned in."""
    edit = anonymize({})
    with SourceFile.of_bytes(data) as source:
        return edit_source(source, edit.plan(source), edit.compiled(source)).burned_in


@pytest.mark.parametrize("syntax", UNCOMPRESSED, ids=lambda syntax: syntax.uid)
@pytest.mark.parametrize(
    ("keywords", "code"),
    [
        ({"BurnedInAnnotation": "YES"}, ReviewCode.BURNED_IN_TEXT),
        ({"BurnedInAnnotation": "NO"}, ""),
        ({"SOPClassUID": SECONDARY_CAPTURE}, ReviewCode.BURNED_IN_TEXT),
        ({"SOPClassUID": f"{SECONDARY_CAPTURE}.4"}, ReviewCode.BURNED_IN_TEXT),
        (
            {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.77.1.6", "ImageType": "ORIGINAL\\PRIMARY\\LABEL\\NONE"},
            "burned-in-text",
        ),
        ({"ImageType": "DERIVED\\SECONDARY\\SCREEN SAVE"}, ReviewCode.BURNED_IN_TEXT),
        ({"ImageType": "ORIGINAL\\PRIMARY\\AXIAL"}, ""),
        ({"ImageType": None, "SOPClassUID": None}, ""),
    ],
    ids=str,
)
def test_the_index_knows_what_may_show_text(
    tmp_path: Path, keywords: dict[str, Any], code: str, syntax: Syntax
) -> None:
    """By class, kind of image and what the object says itself, in every transfer syntax."""
    assert code == planned(tmp_path, instance(syntax=syntax, **keywords))


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG, DEFLATED], ids=lambda syntax: syntax.uid)
def test_the_engine_finds_it_wherever_it_stands(tmp_path: Path, syntax: Syntax) -> None:
    """Behind the bytes that the index reads as in front of them."""
    far = [Element(0x00110010, "LO", b"TEST BLOCK"), FAR]
    for extra in ([], far):
        for value, says in (("YES", True), ("NO", False)):
            data = instance(*extra, syntax=syntax, BurnedInAnnotation=value)
            assert says is edited(data)
    assert "" == planned(tmp_path, instance(*far, syntax=IMPLICIT, BurnedInAnnotation="YES"))


def test_other_captures() -> None:
    """Words in ImageType that name a capture, whatever their case."""
    assert all(may_show_text("", text) for text in ("A\\B\\screenshot", "DERIVED\\CSA REPORT", " label \\X"))
    assert not may_show_text("1.2.840.10008.5.1.4.1.1.77.1", "LABELS\\SCENE")


def test_without_the_option_the_same_kinds_are_at_risk() -> None:
    """Classes and words in ImageType for which clean-pixel-data refuses an instance are listed without it, too."""
    risks = YAML(typ="safe").load(risks_text().text)["at_risk"]
    groups = [group for risk in risks for group in (risk["when"], *risk["when"].get("any", ()))]
    classes = [uid.replace("*", "1") for group in groups for uid in group.get("SOPClassUID", ())]
    words = [word.strip("*") for group in groups for word in group.get("ImageType", ()) if "SECONDARY" not in word]

    assert (len(classes), len(words)) > (15, 5)
    assert [] == [uid for uid in classes if not may_show_text(uid, "")]
    assert [] == [word for word in words if not may_show_text("", f"DERIVED\\SECONDARY\\{word}")]


def run(job: Job, *command: str) -> str:
    """Run the command and return what it prints."""
    ran = job(*command)
    assert ran.code == 0, ran.err
    return ran.out


def test_plan_run_and_report_name_what_to_look_at(job: Job) -> None:
    """Counts before and after, and a list with new identifiers only; what is kept is not named."""
    source = job.root / "in"
    source.mkdir()
    (source / "a.dcm").write_bytes(instance(SOPClassUID=SECONDARY_CAPTURE))
    far = [Element(0x00110010, "LO", b"TEST BLOCK"), FAR]
    (source / "b.dcm").write_bytes(instance(*far, BurnedInAnnotation="YES", SOPInstanceUID="1.2.3.1.1.2"))
    pdf: dict[str, Any] = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.104.1", "SOPInstanceUID": "1.2.3.1.1.3"}
    (source / "c.dcm").write_bytes(instance(EncapsulatedDocument=b"%PDF", **pdf))
    (source / "d.dcm").write_bytes(instance(SOPInstanceUID="1.2.3.1.1.4"))
    run(job, "inventory", "in", "-o", "m.csv")
    config: dict[str, Any] = {
        "name": "look",
        "manifest": "m.csv",
        "operation": "anonymize",
        "engine": "local",
        "source": {"folder": "in"},
        "destination": {"folder": "out"},
        "options": {"DicomVersion": "2023b"},
    }
    (job.root / "c.yaml").write_text(json.dumps(config))
    plan = run(job, "plan", "c.yaml", "--diff", "3")
    ended = run(job, "run", "c.yaml", "--run-id", "one")
    folder = job.root / "runs" / "one"
    with (folder / "review.csv").open(encoding="utf-8-sig", newline="") as stream:
        listed = list(csv.DictReader(stream))

    assert "to look at:       1 burned-in-text" in plan
    assert "to look at:       1 content-emptied" in plan
    assert 3 == plan.count("sample, line 2")
    assert "EncapsulatedDocument" in plan
    assert "2 burned-in-text" in ended
    assert {"total": 3, "burned-in-text": 2, "content-emptied": 1} == json.loads(
        (folder / "summary.json").read_text(encoding="utf-8")
    )["review"]
    assert ["burned-in-text", "burned-in-text", "content-emptied"] == sorted(line["reason"] for line in listed)
    assert all(line["new_sop_instance_uid"].startswith("2.25.") for line in listed)
    assert 0o600 == (folder / "review.csv").stat().st_mode & 0o777
    assert "content-emptied" in (folder / "report.html").read_text(encoding="utf-8")

    config["options"]["Keep"] = ["EncapsulatedDocument"]
    config["destination"] = {"folder": "elsewhere"}  # the first one holds results of another key
    (job.root / "c.yaml").write_text(json.dumps(config))
    assert "content-emptied" not in run(job, "plan", "c.yaml")
