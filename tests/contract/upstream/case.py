"""What Orthanc's own tests assert, said once for the bare route and for both engines of `deidflow run`.

Public names: ``Side``, ``Version``, ``Case``, ``Fault``, ``Results``, ``Check``, ``value_at``, ``orthanc_id``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from pydicom import Dataset
from pydicom.datadict import tag_for_keyword
from pydicom.multival import MultiValue

if TYPE_CHECKING:
    from tests.contract.server import Server

Version = tuple[int, ...]
LEVELS: Final = ("patient", "study", "series", "instance")
_IDENTIFIERS: Final = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
_STEP: Final = re.compile(r"([^.\[]+)(?:\[(\d+)\])?(?:\.|$)")


class Side(StrEnum):
    """Who carries out a request."""

    ROUTE = "route"
    """The server alone: the control."""
    ORTHANC = "engine orthanc"
    LOCAL = "engine local"


def orthanc_id(dataset: Dataset, level: str) -> str:
    """Return the identifier that an Orthanc gives to a level of an object (reference: Orthanc Book, identifiers)."""
    names = _IDENTIFIERS[: LEVELS.index(level) + 1]
    text = "|".join(str(dataset.get(name) or "").strip() for name in names)
    digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
    return "-".join(digest[at : at + 8] for at in range(0, 40, 8))


def value_at(dataset: Dataset, path: str) -> Any:
    """Return the value at a path such as ``Seq[1].0008,1155``: text, a sequence, or None where there is none."""
    found: Any = None
    for name, index in _STEP.findall(path):
        tag = int(name.replace(",", ""), 16) if "," in name else tag_for_keyword(name)
        assert tag is not None, name
        if tag not in dataset:
            return None
        found = dataset[tag].value
        if index:
            if int(index) >= len(found):
                return None
            dataset = found[int(index)]
    if isinstance(found, bytes) or (isinstance(found, Sequence) and found and isinstance(found[0], Dataset)):
        return found
    if isinstance(found, (list, MultiValue)):
        return "\\".join(map(str, found))
    return "" if found is None else str(found)


@dataclass(frozen=True, slots=True)
class Results:
    """What became of a case's files.

    Attributes:
        side: Who did it.
        version: Of the server, empty for the local engine.
        pairs: Each file that was asked for, and what was made of it.
        left: How many of these originals are still there.
        server: Where the results are; None for the local engine, and for a route that stores nothing.

    """

    side: Side
    version: Version
    pairs: tuple[tuple[Dataset, Dataset], ...]
    left: int
    server: Server | None = None


Check = Callable[[Results], None]


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that does not hold, although it should.

    Attributes:
        side: Whose fault.
        reason: What is wrong.
        since: First version of the server with it.
        before: First version of the server without it.

    """

    side: Side
    reason: str
    since: Version = ()
    before: Version = (99,)

    def is_of(self, side: Side, version: Version) -> bool:
        """Whether it shows on this side with this version."""
        return side is self.side and (side is Side.LOCAL or self.since <= version < self.before)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One request and what its results must be.

    Attributes:
        test: The upstream test.
        step: Which of its requests.
        holds: What is asserted, in words, for the table of docs/orthanc.md.
        files: Makes the files.
        operation: ``modify`` or ``anonymize``.
        options: The body of the request.
        check: Asserts on the results; None: the request is refused, and nothing is made.
        resources: What is asked for: level and number of a file that belongs to it.
        route: ``level``: /studies/{id}/modify and its like; ``bulk``: /tools/bulk-modify; ``instance``:
            /instances/{id}/modify, which stores nothing.
        since: Version of Orthanc that does it first; older ones refuse it. Of what is refused: that refuses it first;
            older ones are not asked.
        engine_since: Version with which engine orthanc does it first, where that is not the route's: it sends
            instances, and looks up patients itself.
        config: More of deidflow's config.
        control: Other options for the bare route, where deidflow's own rules want others.
        refused: Why both engines refuse what the route does ("" if they do not).
        server: Why engine orthanc refuses it ("" if it does not).
        local: Why the local engine refuses it ("" if it does not).
        elsewhere: Why it is not asked of the local engine ("" if it is).
        settings: More of the server's configuration; such a case has a server of its own.
        faults: What does not hold.
        quick: Whether it is part of `make test`.

    """

    test: str
    step: str = ""
    holds: str
    files: Callable[[], list[Dataset]]
    operation: str = "modify"
    options: Mapping[str, Any] = field(default_factory=dict)
    check: Check | None
    resources: tuple[tuple[str, int], ...] = (("study", 0),)
    route: str = "level"
    since: Version = ()
    engine_since: Version | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    control: Mapping[str, Any] | None = None
    refused: str = ""
    server: str = ""
    local: str = ""
    elsewhere: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()
    quick: bool = False

    @property
    def name(self) -> str:
        """The upstream test and the step, as in the table and the test's own identifier."""
        return f"{self.test}/{self.step}" if self.step else self.test

    def is_refused(self, side: Side, version: Version) -> bool:
        """Whether this side must refuse it."""
        since = self.since if self.engine_since is None or side is not Side.ORTHANC else self.engine_since
        if self.check is None or (side is not Side.LOCAL and version < since):
            return True
        alone = {Side.ROUTE: "", Side.ORTHANC: self.server, Side.LOCAL: self.local}[side]
        return bool(alone or (side is not Side.ROUTE and self.refused))

    def is_asked(self, side: Side, version: Version) -> bool:
        """Whether it says anything about this side."""
        if side is Side.LOCAL:
            return not self.elsewhere
        return self.check is not None or version >= self.since

    def fault(self, side: Side, version: Version) -> str:
        """Return why it does not hold, "" when it does."""
        return next((fault.reason for fault in self.faults if fault.is_of(side, version)), "")

    def body(self) -> dict[str, Any]:
        """Return the request's own options; the profile is one that all versions have."""
        profile = {"DicomVersion": "2021b"} if self.operation == "anonymize" else {}
        return profile | dict(self.options)

    def asked(self, made: list[Dataset]) -> list[tuple[str, str]]:
        """Return level and Orthanc identifier of each resource that is asked for."""
        return [(level, orthanc_id(made[number], level)) for level, number in self.resources]

    def covered(self, made: list[Dataset]) -> list[Dataset]:
        """Return the files under these resources."""
        wanted = set(self.asked(made))
        return [file for file in made if any((level, orthanc_id(file, level)) in wanted for level in LEVELS)]
