"""Paths of exports: legal on every file system, told apart, and never out of their folder."""

from __future__ import annotations

import re
from typing import Final
from unicodedata import normalize

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from deidflow.tasks.core.errors import BadText
from deidflow.tasks.export.layout import Layout, Paths, safe_name

RESERVED: Final = '<>:"/\\|?*'
DEVICE: Final = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d) *(\..*)?")
MAX_NAME: Final = 255
DEVICES: Final = st.builds(
    "{}{}{}".format,
    st.sampled_from(["con", "CON", "Nul", "aux", "PRN", "com1", "LPT9", "CONIN$", "com\N{SUPERSCRIPT ONE}"]),
    st.sampled_from(["", " ", "  "]),
    st.sampled_from(["", ".", ".dcm", ".a.b", ":x", " .x"]),
)
LONG: Final = st.builds(
    lambda start, end: "x" * 118 + start + "y" * 200 + end, st.text(max_size=4), st.text(max_size=4)
)
FORMS: Final = st.builds(
    normalize, st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"]), st.sampled_from(["Müller^Ä", "ﬁ", "Å", "ガ", "Ωß"])
)
NASTY: Final = st.one_of(
    st.text(max_size=300),
    DEVICES,
    LONG,
    FORMS,
    st.sampled_from(
        ["", ".", "..", " ", "-1", "CON", "nul.dcm", "COM1", "a.", "a ", ".a", "~", "%", RESERVED, "Ä\0\n", "x" * 300]
    ),
)


def is_legal(name: str) -> bool:
    """Whether Windows, macOS and Linux take a name as it is, and spreadsheets and programs for no more than a name."""
    return (
        name.isascii()
        and name.isprintable()
        and not set(RESERVED) & set(name)
        and name.strip(". ") == name
        and name[0] not in "=+-@"
        and not DEVICE.fullmatch(name)
        and 0 < len(name) <= MAX_NAME
    )


@given(NASTY)
@example("nul .dcm")
def test_every_name_is_legal(text: str) -> None:
    """Whatever the value is."""
    assert is_legal(safe_name(text))


@given(NASTY, NASTY)
def test_different_values_have_different_names(one: str, other: str) -> None:
    """Nothing is lost where a value is quoted or shortened."""
    assert (one == other) == (safe_name(one) == safe_name(other))


@given(NASTY, NASTY)
def test_every_path_is_legal_and_below_its_folder(patient: str, other: str) -> None:
    """A value holds no separator, whatever stands around it."""
    values = {"PatientID": patient, "StudyID": other}
    parts = Layout("{PatientID}/x {StudyID}.y/{PatientID}.dcm").path(values.__getitem__)

    assert 3 == len(parts)
    assert all(is_legal(part) for part in parts)


@given(st.lists(st.tuples(st.sampled_from("aAbB"), st.sampled_from("xX")), min_size=1, unique=True))
def test_no_two_paths_differ_in_case_alone(parts: list[tuple[str, str]]) -> None:
    """Windows and macOS would take them for one; the same folder keeps its name."""
    paths = Paths()
    placed = [paths.place(part) for part in parts]

    assert None not in placed
    assert len(parts) == len({str(path).casefold() for path in placed})
    assert paths.place(parts[0]) is None


@given(st.lists(st.tuples(NASTY, NASTY), max_size=8, unique=True))
@example([("A", "1"), ("a", "1"), ("a~", "1"), ("A", "2")])
@example([("A", "x"), ("A", "X")])
@example([(normalize("NFC", "É"), "1"), (normalize("NFD", "É"), "1"), ("é", "1")])
def test_no_file_system_takes_two_paths_for_one(values: list[tuple[str, str]]) -> None:
    """Whatever it does about case and Unicode forms; a file is no folder, and the same values give the same paths."""
    layout = Layout("{PatientID}/{StudyID}.dcm")
    paths, again = Paths(), Paths()
    placed = [paths.place(layout.path(dict(zip(layout.keywords, pair, strict=True)).__getitem__)) for pair in values]
    repeated = [again.place(layout.path(dict(zip(layout.keywords, pair, strict=True)).__getitem__)) for pair in values]

    assert placed == repeated
    assert None not in placed
    taken = {normalize("NFKC", str(path)).casefold() for path in placed}
    assert len(values) == len(taken)
    assert all(is_legal(part) for path in placed for part in str(path).split("/"))
    assert all(str(path).endswith(".dcm") for path in placed)


@pytest.mark.parametrize(
    "template",
    [
        "",
        "/x",
        "x//y",
        "../{PatientID}",
        "{PatientID",
        "PatientID}",
        "{}",
        "{Nope}",
        "{PixelData}",
        "{ImageType}",
        "{a.b}",
    ],
)
def test_what_is_no_layout_is_refused(template: str) -> None:
    """Before anything is read."""
    with pytest.raises(BadText):
        Layout(template)
