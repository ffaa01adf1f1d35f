"""Re-make configs/demo-data/ from the DICOM files that pydicom's package carries.

python tests/tools/select_demo_data.py [FOLDER]

- select: the chosen files, and where in the folder each goes.
- main: replaces the folder (default configs/demo-data) by a fresh selection.

A file is chosen when nothing about it is in doubt: pydicom reads every element without an error or a warning, the
study, series and instance UIDs are there, its series lies in one study and its study in one patient, and no other
file has the same SOPInstanceUID (of several, the first by name is taken).
"""

import shutil
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pydicom
import pydicom.data

PACKAGE: Final = Path(pydicom.data.__file__).parent
DEMO_DATA: Final = Path(__file__).parents[2] / "configs" / "demo-data"

# Left out: fifty slices of one series, alike but for their UIDs.
TINY_SERIES: Final = "TINY_ALPHA"


def select() -> Iterator[tuple[Path, Path]]:
    """Yield the source path and the relative target path of each chosen file, in the order of the source paths."""
    instances: set[str] = set()
    parent: dict[str, str] = {}
    for path in sorted(p for p in PACKAGE.rglob("*") if p.is_file()):
        dataset = None if TINY_SERIES in path.parts else _read(path)
        if dataset is None:
            continue
        patient = str(dataset.get("PatientID") or "")
        uids = [str(dataset.get(k) or "") for k in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")]
        study, series, instance = uids
        if not all(uids) or instance in instances:
            continue
        if parent.setdefault(study, patient) != patient or parent.setdefault(series, study) != study:
            continue
        instances.add(instance)
        yield path, Path(dataset.get("Modality") or "OT") / path.name


def _read(path: Path) -> pydicom.Dataset | None:
    """Return the file with every element decoded, or None if it is no DICOM or not a clean one."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            dataset = pydicom.dcmread(path)
            for element in dataset.iterall():
                _ = element.value
        except Exception:  # noqa: BLE001  # the package holds files that are broken in many ways, on purpose
            return None
    return dataset


def main(folder: Path) -> None:
    """Replace `folder` by a fresh selection and print what it holds."""
    shutil.rmtree(folder, ignore_errors=True)
    count = size = 0
    for source, name in select():
        target = folder / name
        if target.exists():
            raise FileExistsError(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        count += 1
        size += target.stat().st_size
    print(f"{count} files, {size / 1e6:.1f} MB in {folder}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else DEMO_DATA)
