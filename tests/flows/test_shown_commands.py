"""Every command that the documents show is run as it stands there, on a site like the one that they speak of.

What cannot run here stands in ``ELSEWHERE``, with the reason.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import pyrage
import pytest
from openpyxl import Workbook

from deidflow.flows.cli import cli
from deidflow.tasks.core.pseudonyms.pseudonyms import Key
from tests.dicom_files import instance
from tests.jobs import KEY, Finished, files_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.jobs import Job

ROOT: Final = Path(__file__).parents[2]
NAMES: Final = (
    "README.md",
    *(f"docs/{name}.md" for name in ("operators", "data-engineers", "privacy", "exports", "json")),
)
RUN: Final = "runs/night-20260131"

PROGRAMS: Final = (
    "deidflow",
    "prefect",
    "make",
    "pip",
    "python3",
    "openssl",
    "age",
    "sha256sum",
    "eval",
    "docker",
    "podman",
)
ELSEWHERE: Final = {
    "deidflow serve ": "goes on until it is stopped: tests/prefect/test_serving.py",
    "prefect server start": "likewise: every run of the tests has one, tests/conftest.py",
    "prefect worker start": "likewise: tests/prefect/sites.py",
    "prefect deploy --all": "wants a server and a work pool: tests/prefect/sites.py",
    "python3 -m pip wheel ": "minutes; the wheel is looked into by tests/architecture/test_wheel.py",
    "python3 -m venv ": "writes to /opt; the Makefile makes one",
    "/opt/deidflow/bin/pip install ": "wants a network; the Makefile installs the same lock",
    "pip install ": "wants a network; test_extras_exist",
    "make ": "tests within tests; test_targets_exist",
    "age-keygen": "is not installed here; tests/export opens what is encrypted with a library",
    "age -d -i ": "likewise",
}
DAYS: Final = (
    *("deidflow init", "deidflow resolve subjects.xlsx --by AccessionNumber incoming/ -o cohort.csv"),
    *("deidflow run nightly.yaml --run-id", "deidflow export", "sha256sum", ""),
)
"""What makes a file comes before what reads it."""
LAST: Final = ("deidflow withdraw RUN_DIR --row 7", "deidflow run job.yaml")
"""A run that results were taken out of is not reconciled any more; without a key another run is refused."""


class Shown(NamedTuple):
    """A command, and the document that shows it."""

    document: str
    text: str


def _shown() -> Iterator[Shown]:
    """Yield what stands behind ``$``, in indented blocks, and in the text where it begins with a program's name."""
    names = "|".join(map(re.escape, PROGRAMS))
    inline = re.compile(rf"`((?:[A-Z_]+=\S+ )?(?:{names})(?:-keygen)?(?: [^`]*)?)`")
    for document in NAMES:
        text = (ROOT / document).read_text("utf-8")
        parts = re.split(r"^ *```.*$", text, flags=re.MULTILINE)
        found = [line for part in parts[1::2] for line in re.findall(r"^ *\$ (.+)$", part, re.MULTILINE)]
        for part in parts[::2]:
            found += re.findall(r"^ {4}(deidflow .+)$", part, re.MULTILINE)
            found += inline.findall(part.replace("\\|", "|").replace("\n", " "))
        yield from (Shown(document, one) for one in found)


def _is_a_name(text: str) -> bool:
    """Whether a command or program is only spoken of: ``deidflow resume``, ``age``."""
    words = text.split()
    return len(words) == 1 or (len(words) == 2 and words[0] == "deidflow" and words[1] not in {"runs", "RUN_DIR"})


SHOWN: Final = [
    shown for shown in dict.fromkeys(_shown()) if not _is_a_name(shown.text) or shown.text == "deidflow runs"
]
TO_RUN: Final = list(dict.fromkeys(s.text for s in SHOWN if not s.text.startswith(tuple(ELSEWHERE))))


def test_documents_show_commands() -> None:
    """Each of them does, and nothing is excused that no document shows."""
    assert set(NAMES) == {shown.document for shown in SHOWN}
    assert len(TO_RUN) > 25
    assert [] == [start for start in ELSEWHERE if not any(text.startswith(start) for _, text in _shown())]
    called = {text.split()[1] for text in TO_RUN if text.startswith("deidflow ")}
    assert cli.commands.keys() - called == {"serve"}


def test_targets_exist() -> None:
    """Of the Makefile; and what ``make demo`` prints in README.md are its own commands."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = {shown.text.split()[1] for shown in _shown() if shown.text.startswith("make ")}
    assert [] == [target for target in sorted(targets) if f"\n{target}: " not in makefile]
    demo = re.findall(r"\t\$\(BIN\)/(deidflow .+)", makefile)
    assert demo == re.findall(r"^\.venv/bin/(deidflow .+)$", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)


def test_extras_exist() -> None:
    """Of the package, as ``pip install`` names them."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    named = {name for shown in _shown() for name in re.findall(r"deidflow\[(\w+)\]", shown.text)}
    assert named <= extras.keys()
    assert named


def _yaml_of_the_readme() -> str:
    (found,) = re.findall(r"^```yaml\n(.*?)^```", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return str(found)


@pytest.fixture
def site(job: Job) -> Job:
    """What the documents speak of: files, a list of subjects, a config with a manifest, and a run of last night."""
    incoming = job.root / "incoming"
    incoming.mkdir()
    book = Workbook()
    assert book.active is not None
    book.active.append(["AccessionNumber", "subject"])
    for number in range(8):
        uid, accession = f"1.2.{number}", f"A{number}"
        content = instance(
            PatientID=f"P{number}",
            PatientName="Doe^Jane",
            AccessionNumber=accession,
            StudyDate="20240102",
            Modality="CT",
            StudyInstanceUID=uid,
            SeriesInstanceUID=f"{uid}.1",
            SOPInstanceUID=f"{uid}.1.1",
        )
        (incoming / f"{number}.dcm").write_bytes(content)
        book.active.append([accession, f"S-{number:03}"])
    book.save(job.root / "subjects.xlsx")
    (job.root / "nightly.yaml").write_text(_yaml_of_the_readme())
    return job


def _run(site: Job, command: str) -> Finished:
    """Run a line of commands, each of which gets what the one before prints."""
    given, done = b"", Finished(1, "", "")
    for part in command.split(" | "):
        words = shlex.split(part)
        if words[0] != "deidflow":
            ran = subprocess.run(words, cwd=site.root / "delivery", capture_output=True, text=True, check=False)
            return Finished(ran.returncode, ran.stdout, ran.stderr)
        running = site.start(*words[1:], given=given, variables={"DEIDFLOW_KEY": KEY})
        done = running.end()
        given = running.out.read_bytes()
        if done.code:
            break
    return done


_RECIPIENT: Final = str(pyrage.x25519.Identity.generate().to_public())


def _as_here(text: str) -> str:
    """Return a command with what it means here in the places of words for something."""
    text = text.replace("age1...", _RECIPIENT)
    return text.replace("RUN_DIR", RUN).replace("CONFIG", "nightly.yaml").replace("COMMAND", "plan")


def test_every_command_that_is_shown_runs(site: Job) -> None:
    """In an order in which they make sense, each with exit code 0."""
    commands = [text for text in TO_RUN if "COMPLETE" not in text and not text.startswith("openssl")]
    commands = list({_as_here(text): text for text in commands}.values())
    order = {text: next(number for number, start in enumerate(DAYS) if text.startswith(start)) for text in commands}
    for text in sorted(commands, key=lambda text: (text in LAST, order[text])):
        made = re.findall(r" -o (delivery|keys|sheets/)", text)
        for folder in made:
            shutil.rmtree(site.root / folder, ignore_errors=True)
        done = _run(site, _as_here(text))
        assert 0 == done.code, (text, done.err)
    assert files_of(site.root / "outgoing")


@pytest.mark.parametrize("command", [text for text in TO_RUN if "COMPLETE" in text])
def test_completion(command: str, tmp_path: Path) -> None:
    """What a shell is to read at its start; bash, which is here, then knows how to complete."""
    bin_folder = Path(sys.executable).parent
    environment = os.environ | {"PATH": f"{bin_folder}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    if "bash_source" in command:
        asked = "_DEIDFLOW_COMPLETE=bash_complete COMP_WORDS='deidflow inv' COMP_CWORD=1 deidflow"
        script = f"{command}\ncomplete -p deidflow && {asked} | grep -x plain,inventory"
    else:
        script = re.sub(r'^eval "\$\((.*)\)"$|^(.*) \| source$', r"\1\2", command)
    done = subprocess.run(["/bin/bash", "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert (0, True) == (done.returncode, "deidflow" in done.stdout), done.stderr


@pytest.mark.parametrize("command", [text for text in TO_RUN if text.startswith("openssl")])
def test_a_key_is_one(command: str) -> None:
    """What makes a key makes one that is taken."""
    done = subprocess.run(shlex.split(command), capture_output=True, text=True, check=True)
    assert Key.parse(done.stdout).fingerprint
