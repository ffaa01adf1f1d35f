"""``init``: a first config, with comments, and a first manifest.

Public names: ``write_first_job``, ``InitAnswer``.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from deidflow.flows.answers.answer import Answer, give, warn_of_all
from deidflow.flows.manifest_files import beside, unwritable
from deidflow.tasks.core.config.checks import holder_of
from deidflow.tasks.core.config.types import check_name, is_address
from deidflow.tasks.core.dicom.identifiers import Level
from deidflow.tasks.core.engine.sources import SourceProblem
from deidflow.tasks.core.errors import BadText, InvalidInput, Problem
from deidflow.tasks.core.manifest.inventory import write_inventory
from deidflow.tasks.steps.access.choice import inventory_of
from deidflow.tasks.steps.run.progress import make_progress
from deidflow.tasks.steps.run.settings import load_config

if TYPE_CHECKING:
    from collections.abc import Iterator

_TEMPLATE: Final = "first_config.yaml.j2"
_PLAIN: Final = re.compile(r"[A-Za-z0-9_/][A-Za-z0-9_./-]*")
_UNPRINTABLE: Final = re.compile("[\x7f-\x9f\u2028\u2029\ufeff]")


@dataclass(frozen=True, slots=True)
class InitAnswer(Answer):
    """What was written.

    Attributes:
        config: With comments, to be changed.
        manifest: Of all studies of the source.
        rows: How many there are.
        next: The command that goes on.

    """

    config: Path
    manifest: Path
    rows: int
    next: str

    def lines(self) -> Iterator[str]:
        """Yield what people read."""
        yield f"config:   {self.config}"
        yield f"manifest: {self.manifest}, {self.rows} rows"
        yield f"next:     {self.next}"


def write_first_job(source: str, folder: Path, name: str) -> None:
    """Write a config and a manifest that ``plan`` accepts as they stand; nothing that is there is overwritten.

    Args:
        source: A folder, or the address of an Orthanc.
        folder: To write to; made if it is not there, in one that is.
        name: Of the config, and of both files.

    Raises:
        InvalidInput: One of the files is there already, the name or the source cannot be used, or holds nothing.
        Unusable: The files cannot be written, or the Orthanc cannot be used.

    """
    config, manifest = folder / f"{name}.yaml", folder / f"{name}.csv"
    problems = list(_problems(source, folder, name, (config, manifest)))
    if problems:
        raise InvalidInput(problems)
    try:
        with contextlib.ExitStack() as written:
            if not folder.exists():
                folder.mkdir()
                written.callback(folder.rmdir)
            _make(written, config, 0o644, _rendered(source, folder, name))
            _make(written, manifest, 0o600, "")
            load_config(config)
            rows = _inventory(source, manifest)
            written.pop_all()  # both stay
    except OSError as error:
        raise unwritable(folder, error) from None
    give(InitAnswer(config, manifest, rows, f"deidflow plan {shlex.quote(str(config))}"))


def _problems(source: str, folder: Path, name: str, files: tuple[Path, Path]) -> Iterator[Problem]:
    try:
        check_name(name)
    except BadText as error:
        yield Problem(str(error), "--name")
        return
    for path in files:
        if os.path.lexists(path):
            yield Problem(f"must not exist yet: {path}; choose another --name, or another folder with -o")
    if not is_address(source) and holder_of({"source": {"folder": source}}, folder):
        text = "must be a folder outside the source, since results and reports go there, too, as in"
        yield Problem(f"{text} -o {shlex.quote(beside(source, '.'))}", "-o")


def _make(written: contextlib.ExitStack, path: Path, mode: int, text: str) -> None:
    """Make a file that was not there, to be removed again if what follows fails."""
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
    written.callback(path.unlink, missing_ok=True)
    with open(descriptor, "w", encoding="utf-8", errors="backslashreplace") as stream:  # noqa: PTH123
        stream.write(text)


def _inventory(source: str, manifest: Path) -> int:
    warnings: list[str] = []
    with make_progress() as progress:
        found = inventory_of(source, Level.STUDY, progress)
        records = (one for one in found if not isinstance(one, SourceProblem) and not one.is_result)
        rows = write_inventory(records, Level.STUDY, manifest, warnings.append)
    if not rows:
        raise InvalidInput(f"must hold DICOM objects that are no results of earlier runs: {source}")
    warn_of_all([f"{manifest}, {text}" for text in warnings])
    return rows


def _rendered(source: str, folder: Path, name: str) -> str:
    """Return the text of the config."""
    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(  # noqa: S701 (YAML)
        loader=loader, undefined=StrictUndefined, keep_trailing_newline=True
    )
    return environment.get_template(_TEMPLATE).render(
        name=name,
        kind="orthanc" if is_address(source) else "folder",
        where="an Orthanc" if is_address(source) else "a folder",
        source=_quoted(source if is_address(source) else _path_from(folder, source)),
        braced="{subject}",
    )


def _path_from(folder: Path, source: str) -> str:
    """Return the path of the source as the config says it: relative to its folder where the user gave one that is."""
    if Path(source).is_absolute():
        return source
    path = os.path.relpath(source, folder)
    return f"./{path}" if path.startswith("~") else path


def _quoted(text: str) -> str:
    """Return a text as YAML has it (1.2.2, 7.3): plain where nothing in it means anything, else in double quotes."""
    if _PLAIN.fullmatch(text):
        return text
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(text, ensure_ascii=False))
