"""Write ``types.csv.gz``: how the IODs of the standard ask for the attributes of Table E.1-1.

    pip download --no-deps highdicom==0.28.2 && unzip highdicom-*.whl
    python -m deidflow.tasks.local.deidentification.tables.make_types highdicom/_standard FOLDER

Source: the tables of DICOM PS3.3 as JSON in highdicom 0.28.2 (MIT licence), ``module_attribute_map.json``,
``iod_module_map.json`` and ``sop_class_iod_map.json``. For each storage SOP class and each path at which one of its
modules or functional group macros has a listed attribute, the strictest type is written (1, 1C, 2, 2C, 3): modules may
overlap, and an optional module that is there asks for its attributes as any other does.

Left out, since no decision depends on them: codes U and D, and codes X where the type is 1C, 2C or 3.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import sys
from pathlib import Path
from typing import Final

from deidflow.tasks.local.deidentification.standard.codes import AttributeType, Code
from deidflow.tasks.local.deidentification.standard.profile import load_profile

_STRICTEST_FIRST: Final = {name: place for place, name in enumerate(AttributeType)}
_INDIFFERENT: Final = frozenset({Code.U, Code.D})
_OF_WEIGHT_FOR_REMOVAL: Final = frozenset({AttributeType.REQUIRED, AttributeType.MAY_BE_EMPTY})


def collect(folder: Path) -> dict[tuple[str, str], AttributeType]:
    """Return the types by SOP class UID and path, keywords joined by dots."""

    def load(name: str) -> dict[str, object]:
        loaded: dict[str, object] = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        return loaded

    modules, iods = load("module_attribute_map"), load("iod_module_map")
    codes = {row.keyword: row.basic for row in load_profile() if row.keyword}
    types: dict[tuple[str, str], AttributeType] = {}
    for sop_class, iod in load("sop_class_iod_map").items():
        for module in iods[str(iod)]:  # type: ignore[attr-defined]  # JSON of known form
            for attribute in modules.get(module["key"], ()):  # type: ignore[attr-defined]  # likewise
                if codes.get(attribute["keyword"], Code.U) in _INDIFFERENT:
                    continue
                key = sop_class, ".".join((*attribute["path"], attribute["keyword"]))
                found = AttributeType(attribute["type"])
                types[key] = min(found, types.get(key, found), key=_STRICTEST_FIRST.__getitem__)
    return {
        key: found
        for key, found in types.items()
        if codes[key[1].rpartition(".")[2]] is not Code.X or found in _OF_WEIGHT_FOR_REMOVAL
    }


def main(source: str, folder: str) -> None:
    """Write the table into a folder, the same bytes whenever it is made."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["sop_class", "path", "type"])
    writer.writerows((*key, found) for key, found in sorted(collect(Path(source)).items()))
    packed = gzip.compress(text.getvalue().encode("ascii"), 9, mtime=0)
    (Path(folder) / "types.csv.gz").write_bytes(packed)


if __name__ == "__main__":
    main(*sys.argv[1:])
