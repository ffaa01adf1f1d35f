"""Orthanc's profile tables are well-formed and hold what their README says."""

import csv
import re
from collections import Counter
from pathlib import Path

import pytest
from pydicom.datadict import dictionary_keyword

PROFILES = Path(__file__).parents[2] / "tasks" / "local" / "deidentification" / "profiles"
COLUMNS = ["tag", "keyword", "action", "nested_action", "vr", "standard_rule", "basis"]
ACTIONS = {"X", "Z", "U", "D", "K"}


def read(table: Path) -> list[dict[str, str]]:
    """Return the table's lines, after a check of its header."""
    with table.open(encoding="ascii", newline="") as lines:
        reader = csv.DictReader(lines, strict=True)
        assert reader.fieldnames == COLUMNS
        return list(reader)


@pytest.mark.parametrize("table", sorted(PROFILES.glob("*.csv")), ids=lambda p: p.stem)
def test_table_is_well_formed(table: Path) -> None:
    """Tags are unique and of the right form, keywords are the dictionary's, actions are of the closed set."""
    rows = read(table)

    assert len(rows) == len({row["tag"] for row in rows})
    for row in rows:
        assert re.fullmatch("[0-9a-fx]{4},[0-9a-fx]{4}", row["tag"]), row
        if "x" not in row["tag"]:
            assert row["keyword"] == dictionary_keyword(int(row["tag"].replace(",", ""), 16))
        assert row["action"] in ACTIONS, row
        assert row["nested_action"] in ACTIONS | {""}, row
        assert row["basis"] in {"measured", "source"}, row


@pytest.mark.parametrize(
    ("version", "removed", "cleared", "uids"),
    [("2008", 39, 0, 11), ("2017c", 216, 20, 34), ("2021b", 317, 85, 50), ("2023b", 408, 138, 54)],
)
def test_table_holds_every_measured_attribute(version: str, removed: int, cleared: int, uids: int) -> None:
    """The numbers of attributes per action are those of the README, so that no line is lost."""
    actions = Counter(row["action"] for row in read(PROFILES / f"orthanc-{version}.csv"))

    assert (removed, cleared, uids) == (actions["X"], actions["Z"], actions["U"])
