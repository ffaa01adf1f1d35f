"""A folder of real files, each given to a real Orthanc and to the local engine; what is refused goes into a table.

``make test-corpus FOLDER=/data/dicom`` writes docs/corpus.md, in which no file is named.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections import Counter
from hashlib import sha256
from pathlib import Path

from tests.corpus.check import check, takes
from tests.orthanc_server import OrthancServer

_TABLE = Path(__file__).parents[2] / "docs" / "corpus.md"
_LARGEST_BYTES = 1 << 28


def main() -> int:
    """Check all files; 1 when something that must not be was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.corpus")
    parser.add_argument("folder", type=Path, nargs="+")
    parser.add_argument("--table", type=Path, default=_TABLE)
    given = parser.parse_args()
    with_dcmtk = shutil.which("dcmdump") is not None
    counts: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    faulty, seen = 0, set()
    with OrthancServer() as server:
        for path in sorted(path for folder in given.folder for path in folder.rglob("*") if path.is_file()):
            data = path.read_bytes() if path.stat().st_size <= _LARGEST_BYTES else b""
            digest = sha256(data).digest()
            if not data or digest in seen:
                continue
            seen.add(digest)
            verdict = check(data, takes(server, data), with_dcmtk=with_dcmtk)
            counts["different files"] += 1
            counts["an Orthanc takes"] += verdict.taken
            counts["done"] += not verdict.refused
            counts["taken and done"] += verdict.taken and not verdict.refused
            if verdict.taken and verdict.refused:
                # What differs from file to file is the place only.
                refused[verdict.refused.split(" at byte ")[0]] += 1
                print("REFUSED", path, verdict.refused)  # noqa: T201 (a command)
            for fault in verdict.faults:
                print("FAULT", path, fault, flush=True)  # noqa: T201
            faulty += bool(verdict.faults)
        version = server.version
    lines = [
        "# Real files: what an Orthanc takes, the local engine takes",
        "",
        f"Written by `make test-corpus`, with Orthanc {version}. Each file is anonymized and modified; Orthanc IDs",
        "must be equal, and each result must be read by pydicom and dcmdump, and decode to the same pixels, where its",
        "source is and does.",
        "",
        "| files | count |",
        "| --- | --- |",
        *(f"| {name} | {count} |" for name, count in counts.items()),
        f"| with a fault | {faulty} |",
        "",
        "## Taken by an Orthanc, refused by deidflow",
        "",
        "| reason | files |",
        "| --- | --- |",
        *(f"| {reason} | {count} |" for reason, count in refused.most_common() or [("none", 0)]),
    ]
    given.table.write_text("\n".join(lines) + "\n", "utf-8")
    print("\n".join(lines[7:]))  # noqa: T201
    return 1 if faulty else 0


if __name__ == "__main__":
    sys.exit(main())
