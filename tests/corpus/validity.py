"""Whether results have errors that their sources have not, by dciodvfy (Debian's dicom3tools), over pydicom's files.

    make test-validity

Under the basic profile and under the options of ``configs/research-tcia.yaml``. Exit code 1 where there is one.

Public names: ``new_errors``, ``main``.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path
from typing import Final

from deidflow.tasks.core.errors import DeidflowError
from deidflow.tasks.core.request.profile_choice import ProfileChoice
from deidflow.tasks.local.dicom_file.source_file import SourceFile
from deidflow.tasks.local.folder.index import identify
from deidflow.tasks.steps.run.settings import load_config
from tests.local.edits import all_files, deidentify

_RESEARCH: Final = Path(__file__).parents[2] / "configs" / "research-tcia.yaml"
_VALUES: Final = re.compile(r"<[^<>]*>|\d+")


def errors_of(data: bytes, folder: Path) -> Counter[str]:
    """Return the errors that dciodvfy finds in a file, without values and numbers."""
    path = folder / "file.dcm"
    path.write_bytes(data)
    run = subprocess.run(["dciodvfy", str(path)], capture_output=True, check=False, timeout=60)  # noqa: S607
    lines = (run.stdout + run.stderr).decode("latin-1").splitlines()
    return Counter(_VALUES.sub("", line).strip() for line in lines if line.startswith("Error"))


def new_errors(source: bytes, result: bytes) -> list[str]:
    """Return the errors of a result beyond those of its source."""
    with tempfile.TemporaryDirectory() as scratch:
        before, after = (errors_of(data, Path(scratch)) for data in (source, result))
    return sorted((after - before).elements())


def _is_an_instance(data: bytes) -> bool:
    """Whether a source takes a file for an instance: it has its identifiers."""
    try:
        with SourceFile.of_bytes(data) as source:
            return all(identify(source, source.scan())[0][1:])
    except DeidflowError:
        return False


def main() -> int:
    """Print the new errors, and how many results there were."""
    research = load_config(_RESEARCH).profile_choice
    assert research is not None
    faults = 0
    for name, choice in (("basic profile", ProfileChoice()), ("research-tcia.yaml", research)):
        done = refused = 0
        for path in all_files():
            source = path.read_bytes()
            if not _is_an_instance(source):
                continue
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    result = deidentify(choice)(source)
            except DeidflowError:
                refused += 1  # damaged, or unsafe-content
                continue
            done += 1
            found = new_errors(source, result)
            faults += len(found)
            for line in found:
                sys.stdout.write(f"{name}: {path.name}: {line}\n")
        sys.stdout.write(f"{name}: {done} results, {refused} refused\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
