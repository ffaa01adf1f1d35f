"""The standard's safe private attributes, by creator and in any block."""

from __future__ import annotations

from deidflow.tasks.local.deidentification.standard.safe_private import SafePrivate, standard_attributes


def test_the_list_is_complete() -> None:
    """479 attributes of 20 creators, none of them twice."""
    assert 479 == len(standard_attributes())
    assert 20 == len({one.creator for one in standard_attributes()})


def test_the_block_does_not_matter_and_the_creator_does() -> None:
    """(0019,xx0C) of SIEMENS MR HEADER is the b value, and somebody else's is nothing."""
    safe = standard_attributes()
    found = safe.find(0x0019100C, "SIEMENS MR HEADER")

    assert found is not None
    assert ("IS", "1", "B Value") == (found.vr, found.vm, found.meaning)
    assert found is safe.find(0x0019FF0C, "SIEMENS MR HEADER ")
    assert safe.find(0x0019100C, "SIEMENS CSA HEADER") is None
    assert safe.find(0x0019100C, "siemens mr header") is None
    assert safe.find(0x0019100C, "") is None
    assert safe.find(0x0021100C, "SIEMENS MR HEADER") is None
    assert safe.find(0x00191063, "SIEMENS MR HEADER") is None


def test_a_site_adds_its_own() -> None:
    """Beside the standard's, and in place of one of them."""
    mine = SafePrivate(0x0029, 0x10, "MY LAB", "LO", "1", "Scanner mode")
    safe = standard_attributes().with_more([mine])

    assert mine is safe.find(0x00291110, "MY LAB")
    assert safe.find(0x0019100C, "SIEMENS MR HEADER") is not None
    assert 480 == len(safe)
