"""The duties of PS3.15 Annex E (edition 2026d), one by one: each has a test, or a statement in docs/conformance.md."""

from __future__ import annotations

import ast
import csv
import re
from pathlib import Path

from deidflow.tasks.core.request.profile_choice import ProfileChoice
from tests.dicom_files import Element, Item, instance
from tests.local.edits import deidentify, read
from tests.tools.make_conformance import conformance

TESTS = Path(__file__).parents[2]
DUTIES = Path(__file__).with_name("annex_e.csv")
CONFORMANCE = TESTS.parent / "docs" / "conformance.md"


def duties(kind: str) -> list[dict[str, str]]:
    """Return the duties that a test shows (T), or that the statement declares (D)."""
    with DUTIES.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines, strict=True))
    assert {row["kind"] for row in rows} == {"T", "D"}
    return [row for row in rows if row["kind"] == kind]


def test_each_duty_has_its_tests() -> None:
    """They are there, by name; each paragraph has a test or a statement."""
    found = duties("T")
    assert {str(number) for number in range(1, 47)} <= {row["no"] for row in (*found, *duties("D"))}
    assert len(found) > 25
    for row in found:
        assert row["where"], row
        for place in row["where"].split():
            path, _, name = place.partition("::")
            tree = ast.parse((TESTS / path).read_text("utf-8"))
            names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
            assert name in names or not name, place


def test_each_declared_duty_stands_in_the_statement() -> None:
    """Under its number."""
    text = CONFORMANCE.read_text("utf-8")
    numbers = {number for cell in re.findall(r"^\| ([\d, ]+) \|", text, re.MULTILINE) for number in cell.split(", ")}
    declared = {row["no"] for row in duties("D")}
    assert len(declared) > 15
    assert declared <= numbers


def test_the_statement_is_up_to_date() -> None:
    """It is what its command makes of the tables."""
    assert CONFORMANCE.read_text("utf-8") == conformance()


def test_encrypted_attributes_go() -> None:
    """The Encrypted Attributes Sequence, MAC parameters and signatures of an earlier step."""
    encrypted = Item((Element(0x04000510, "UI", b"1.2.840.10008.1.2\0"), Element(0x04000520, "OB", b"QQQQ")))
    data = instance(
        Element(0x04000500, "SQ", (encrypted,)),
        Element(0x4FFE0001, "SQ", (Item((Element(0x04000005, "US", b"\1\0"),)),)),
    )
    after = read(deidentify(ProfileChoice())(data))
    assert not [element for element in after if element.tag.group in (0x0400, 0x4FFE)]
