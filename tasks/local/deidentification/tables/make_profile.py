"""Write ``profile.csv``, ``safe_private.csv`` and ``vr_additions.csv`` from a register of the standard in CSV.

    python -m deidflow.tasks.local.deidentification.tables.make_profile TABLE_E_1_1 TABLE_E_3_10_1 VR_ADDITIONS FOLDER

Source: DICOM PS3.15 edition 2026d, Table E.1-1 and Table E.3.10-1, and PS3.6 of the same edition for the attributes
that pydicom 3.0.2 does not know, each as a CSV with one column for each column of the table. What the script does is to
bring names and tags into one form and to check that no code is unknown.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Final

from pydicom.datadict import dictionary_VR, repeater_has_tag

from deidflow.tasks.core.request.profile_choice import Option
from deidflow.tasks.local.deidentification.standard.codes import Code

_COLUMNS: Final = {
    "retain_safe_private": Option.RETAIN_SAFE_PRIVATE,
    "retain_uids": Option.RETAIN_UIDS,
    "retain_device_identity": Option.RETAIN_DEVICE_IDENTITY,
    "retain_institution_identity": Option.RETAIN_INSTITUTION_IDENTITY,
    "retain_patient_characteristics": Option.RETAIN_PATIENT_CHARACTERISTICS,
    "retain_longitudinal_full_dates": Option.RETAIN_FULL_DATES,
    "retain_longitudinal_modified_dates": Option.RETAIN_MODIFIED_DATES,
    "clean_descriptors": Option.CLEAN_DESCRIPTORS,
    "clean_structured_content": Option.CLEAN_STRUCTURED_CONTENT,
    "clean_graphics": Option.CLEAN_GRAPHICS,
}


def _read(path: str) -> list[dict[str, str]]:
    with Path(path).open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines, strict=True))


def _plain(tag: str) -> str:
    return tag.strip("()").lower()


def _write(path: Path, header: list[str], rows: list[list[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.writer(lines, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def _vr(tag: str, additions: dict[str, str]) -> str:
    if tag in additions or tag == "private":
        return additions.get(tag, "")
    number = int(tag.replace(",", "").replace("x", "0"), 16)
    if "x" not in tag:
        return dictionary_VR(number)
    return dictionary_VR(number) if repeater_has_tag(number) else ""


def main(table: str, safe_private: str, vrs: str, folder: str) -> None:
    """Write the three files into a folder."""
    target = Path(folder)
    additions = {_plain(row["tag"]): row["vr"] for row in _read(vrs)}
    rows = []
    for row in _read(table):
        tag = _plain(row["tag"])
        codes = [row["basic_profile"], *(row[column] for column in _COLUMNS)]
        for code in codes:
            if code:
                Code(code)
        rows.append([tag, row["keyword"], _vr(tag, additions), row["in_standard_composite_iod"], *codes])
    _write(target / "profile.csv", ["tag", "keyword", "vr", "standard_iod", "basic", *_COLUMNS.values()], rows)
    _write(
        target / "safe_private.csv",
        ["group", "element", "private_creator", "vr", "vm", "meaning"],
        [
            [row["group"].lower(), row["element"].lower(), row["private_creator"], row["vr"], row["vm"], row["meaning"]]
            for row in _read(safe_private)
        ],
    )
    _write(
        target / "vr_additions.csv",
        ["tag", "keyword", "vr"],
        [[_plain(row["tag"]), row["keyword"], row["vr"]] for row in _read(vrs)],
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
