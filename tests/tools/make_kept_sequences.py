"""Write ``tasks/orthanc/kept_sequences.csv``: the sequences that Orthanc's anonymization profiles leave at top level.

    .venv/bin/python tests/tools/make_kept_sequences.py

Sources: every sequence of pydicom's dictionary (DICOM PS3.6, retired ones included) from group 0008 on, less those that
``tasks/local/deidentification/profiles/orthanc-*.csv`` remove or empty at top level.
"""

import csv
import io
from pathlib import Path

from pydicom._dicom_dict import DicomDictionary

ROOT = Path(__file__).parents[2]
PROFILES = ROOT / "tasks" / "local" / "deidentification" / "profiles"
TARGET = ROOT / "tasks" / "orthanc" / "kept_sequences.csv"
VERSIONS = ("2008", "2017c", "2021b", "2023b")
FIRST_TAG = 0x0008_0000


def emptied(version: str) -> set[str]:
    """Return the tags that a profile removes or empties at top level."""
    with (PROFILES / f"orthanc-{version}.csv").open(encoding="ascii", newline="") as lines:
        return {row["tag"] for row in csv.DictReader(lines) if row["action"] in ("X", "Z")}


def make_table() -> str:
    """Return the whole file."""
    gone = {version: emptied(version) for version in VERSIONS}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["tag", "keyword", *VERSIONS])
    for number, (vr, _, _, _, keyword) in sorted(DicomDictionary.items()):
        tag = f"{number >> 16:04x},{number & 0xFFFF:04x}"
        marks = ["" if tag in gone[version] else "keep" for version in VERSIONS]
        if vr == "SQ" and number >= FIRST_TAG and any(marks):
            writer.writerow([tag, keyword, *marks])
    return text.getvalue()


if __name__ == "__main__":
    TARGET.write_text(make_table(), encoding="ascii")
    print(f"{TARGET.name}: {len(make_table().splitlines()) - 1} sequences")
