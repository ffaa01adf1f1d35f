"""The file of UIDs that verifying processes read: what is wrong with it says nothing about a result."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from deidflow.tasks.core.dicom.tags import SOP_INSTANCE_UID, STUDY_INSTANCE_UID
from deidflow.tasks.core.errors import Unusable
from deidflow.tasks.core.ledger.uid_map import UidKind, UidMap, write_uid_map

if TYPE_CHECKING:
    from pathlib import Path

ENTRIES = [(UidKind.STUDY, "1.2", "2.25.1"), (UidKind.INSTANCE, "1.2", "2.25.2"), (UidKind.STUDY, "1.2", "2.25.3")]


@pytest.mark.parametrize("in_memory", [False, True])
def test_kinds_are_told_apart(tmp_path: Path, *, in_memory: bool) -> None:
    """And of several new UIDs the first counts."""
    path = tmp_path / "uids"
    write_uid_map(path, ENTRIES)
    uids = UidMap(path.read_bytes() if in_memory else str(path))

    assert ("2.25.1", "2.25.2") == (uids.get(STUDY_INSTANCE_UID, "1.2"), uids.get(SOP_INSTANCE_UID, "1.2"))
    assert uids.get(STUDY_INSTANCE_UID, "1.3") is None


@pytest.mark.parametrize("content", [None, b"", b"no database", b"SQLite format 3\0" + bytes(84)])
def test_a_file_that_cannot_be_read_stops_the_work(tmp_path: Path, content: bytes | None) -> None:
    """It is gone, empty or damaged: that is no fault of a result."""
    path = tmp_path / "uids"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(Unusable, match=r"the run folder .* cannot be read or written"):
        UidMap(str(path)).get(STUDY_INSTANCE_UID, "1.2")


def test_a_folder_that_takes_no_file(tmp_path: Path) -> None:
    """It is named with the system's reason, as where no file more fits: the run stops, and resume goes on."""
    with pytest.raises(Unusable, match=r"the run folder .*none cannot be written: .*ENOENT"):
        write_uid_map(tmp_path / "none" / "map", [])
