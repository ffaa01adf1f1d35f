"""``deidflow pixels``: a page with pictures of each rule and of what no rule is for, for the eyes of its owner."""

from __future__ import annotations

import re
import stat
from typing import TYPE_CHECKING, Any, Final

import pytest
from click.testing import CliRunner
from pydicom import dcmread
from pydicom.data import get_testdata_file

from deidflow.flows.cli import cli
from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers, Level
from deidflow.tasks.core.errors import InvalidInput
from deidflow.tasks.steps.pixels.sheets import PAGE, write_pixel_sheets
from deidflow.tasks.steps.run.progress import make_progress
from tests.steps.steps import Steps

if TYPE_CHECKING:
    from pathlib import Path

    from deidflow.tasks.core.report.pixel_page import PixelGroup

FILES: Final = ("examples_rgb_color.dcm", "CT_small.dcm", "SC_rgb_small_odd.dcm", "examples_palette.dcm")
RULES: Final = """\
rules:
- name: the banner of our old device
  when: {ManufacturerModelName: "LOGIQ 700*", Rows: 240, Columns: 320}
  regions: [{x: 0, y: 0, width: 320, height: 30}]
- name: none has this
  when: {Manufacturer: Nobody}
  refuse: true
"""
CLEANS: Final[dict[str, Any]] = {
    "options": {},
    "profile_options": ["clean-pixel-data"],
    "pixels": {"rules": ["site.yaml", "builtin"]},
}


def planned(root: Path, **changes: Any) -> Steps:
    """Return a run that is planned on some of pydicom's files."""
    (root / "source").mkdir()
    (root / "site.yaml").write_text(RULES)
    rows = []
    for name in FILES:
        dataset = dcmread(str(get_testdata_file(name)))
        dataset.save_as(root / "source" / name)
        uids = (str(dataset[keyword].value) for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"))
        rows.append(DicomIdentifiers(str(dataset.get("PatientID", "")), *uids).orthanc_id(Level.INSTANCE))
    steps = Steps(root)
    steps.plan(rows, **(CLEANS | changes))
    return steps


def sheets(steps: Steps, folder: Path) -> list[PixelGroup]:
    """Write the page of a plan."""
    with make_progress(quiet=True) as progress:
        return write_pixel_sheets(steps.run.ledger, steps.run.config, folder, progress)


def test_each_rule_and_each_group_without_one_has_pictures(tmp_path: Path) -> None:
    """What is at risk without a rule comes first, what is not at risk last; unused rules are named."""
    folder = tmp_path / "sheets"
    groups = sheets(planned(tmp_path), folder)
    page = (folder / PAGE).read_text("utf-8")

    assert [
        ("refuse", "secondary capture, hard copy and other", False),
        ("refuse", "ultrasound", False),
        ("paint", "site.yaml, line 2: the banner of our old device", True),
        ("none", "", False),
    ] == [(group.action, group.name, group.has_rule) for group in groups]
    assert sorted(path.name for path in folder.iterdir()) == sorted([PAGE, *re.findall(r'src="([^"]+)"', page)])
    assert 4 == page.count("<img ")
    assert "none has this" in page.partition("no instance was found")[2]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in folder.glob("*.png"))


def test_only_the_owner_can_look_at_it(tmp_path: Path) -> None:
    """The pictures are the patients' own; the page repeats none of their names."""
    folder = tmp_path / "sheets"
    sheets(planned(tmp_path), folder)

    assert 0o700 == stat.S_IMODE(folder.stat().st_mode)
    assert {0o600} == {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    page = (folder / PAGE).read_text("utf-8")
    for name in FILES:
        dataset = dcmread(str(get_testdata_file(name)))
        assert name not in page
        assert str(dataset.SOPInstanceUID) not in page


def test_the_same_plan_gives_the_same_files(tmp_path: Path) -> None:
    """Whatever the size of its chunks."""
    first, second = tmp_path / "first", tmp_path / "second"
    for root, size in ((first, 1), (second, 500)):
        root.mkdir()
        sheets(planned(root, execution={"workers": 1, "chunk_size": size}), root / "sheets")

    files = [{path.name: path.read_bytes() for path in (root / "sheets").iterdir()} for root in (first, second)]
    assert files[0] == files[1]


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    """It may be the wrong one."""
    (tmp_path / "sheets").mkdir()
    (tmp_path / "sheets" / "mine").touch()

    with pytest.raises(InvalidInput, match="must be an empty folder"):
        sheets(planned(tmp_path), tmp_path / "sheets")


def test_a_config_that_cleans_no_pixels(tmp_path: Path) -> None:
    """There are no rules to look at."""
    with pytest.raises(InvalidInput, match="must have clean-pixel-data"):
        sheets(planned(tmp_path, profile_options=[], pixels=None), tmp_path / "sheets")


def test_the_command(tmp_path: Path) -> None:
    """It says what was found and where the page is."""
    steps = planned(tmp_path)
    config = str(steps.root / "job.yaml")

    result = CliRunner().invoke(cli, ["pixels", config, "-o", str(tmp_path / "sheets")], catch_exceptions=False)

    assert 0 == result.exit_code
    assert "the banner of our old device" in result.output
    assert str(tmp_path / "sheets" / PAGE) in result.output


def test_plan_counts_by_rule_and_kind_and_names_the_rule(tmp_path: Path) -> None:
    """What is refused is told before anything is run; ``--diff`` says what is painted of a sample, by which rule."""
    steps = planned(tmp_path)
    config = str(steps.root / "job.yaml")

    printed = CliRunner().invoke(cli, ["plan", config, "--diff", "4"], catch_exceptions=False).output

    assert "pixels:           4 instances looked at, at most three of each series" in printed
    assert "1 REFUSED (burned-in-text), no rule for: secondary capture, hard copy and other" in printed
    assert "1 painted, site.yaml, line 2: the banner of our old device" in printed
    assert "1 not at risk" in printed
    assert "pixels: painted black, 320 x 30 at 0, 0 (site.yaml, line 2: the banner of our old device)" in printed
    assert "pixels: stay as they are (not at risk)" in printed
    said = {" ".join(line.split()) for line in printed.splitlines()}
    assert "0028,0301 BurnedInAnnotation CS absent -> 2 mark of de-identification" in said
    assert {"clean-pixel-data", "kept"} == {line.split()[-1] for line in said if "PixelData" in line}
    assert "will fail: burned-in-text: " in printed
