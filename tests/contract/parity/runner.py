"""Send requests to both sides and count what is equal, what is accepted, and what is not explained.

Public names: ``Runner``, ``Totals``.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.contract.parity.accepted import accepting_entry
from tests.contract.parity.compare import compare
from tests.contract.parity.differences import Case
from tests.contract.parity.sides import Deck, LocalSide, OrthancSide

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Self

    from deidflow.tasks.core.request.request import Operation

_SHOWN = 30


@dataclass(slots=True)
class Totals:
    """Sums over requests.

    Attributes:
        requests: How many.
        pairs: Files times requests.
        same: Pairs without any difference but the accepted ones.
        accepted: How often each accepted difference was seen.
        unexplained: All others, for people.

    """

    requests: int = 0
    pairs: int = 0
    same: int = 0
    accepted: Counter[str] = field(default_factory=Counter)
    unexplained: list[str] = field(default_factory=list)

    def add(self, other: Totals) -> None:
        """Add the sums of other requests."""
        self.requests += other.requests
        self.pairs += other.pairs
        self.same += other.same
        self.accepted += other.accepted
        self.unexplained += other.unexplained

    def report(self) -> str:
        """Return the unexplained differences as text, one for each request and kind, the first few of many."""
        kinds = {text.partition("(")[0]: text for text in reversed(self.unexplained)}
        shown = "\n".join(sorted(kinds.values())[:_SHOWN])
        return f"{len(self.unexplained)} unexplained differences in {self.pairs} pairs:\n{shown}"


class Runner:
    """Both sides with the same deck; use as a context manager."""

    def __init__(self, url: str, version: str, *, hardening: bool = False) -> None:
        """Take the address and version of a server that nobody else uses meanwhile."""
        self._orthanc = OrthancSide(url, version)
        self._local = LocalSide(hardening=hardening)
        self._deck = Deck("nothing")

    def __enter__(self) -> Self:
        """Open both sides."""
        self._orthanc.__enter__()
        self._local.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        """Close both sides, and leave the server empty."""
        self._orthanc.clear()
        self._orthanc.__exit__()
        self._local.__exit__()

    def run(self, files: Sequence[tuple[str, bytes]], cases: Iterable[tuple[Operation, Mapping[str, Any]]]) -> Totals:
        """Compare all cases with all files."""
        totals = Totals()
        cases = list(cases)
        for deck in self._orthanc.decks("files", files):
            self.load(deck)
            for operation, body in cases:
                totals.add(self.check(operation, body))
        return totals

    def load(self, deck: Deck) -> None:
        """Give a deck to both sides."""
        self._deck = deck
        self._orthanc.load(deck)
        self._local.load(deck)
        unknown = deck.files.keys() - self._local.known()
        assert not unknown, f"the engine does not find {[deck.names[name] for name in sorted(unknown)]}"

    def decks(self, files: Sequence[tuple[str, bytes]]) -> list[Deck]:
        """Return the files that the server takes."""
        return self._orthanc.decks("files", files)

    def check(self, operation: Operation, body: Mapping[str, Any]) -> Totals:
        """Compare one request with all files of the deck.

        ``Permissive`` is set, so that each file has its own outcome.
        """
        sent = sorted(self._deck.files)
        whole = {"Permissive": True, **body, "Resources": sent}
        theirs = self._orthanc.run(operation, whole, self._deck)
        ours = self._local.run(operation, whole)
        case = Case(operation, body, self._local.hardening, self._orthanc.version)
        result = compare(case, self._deck, sent, theirs, ours)
        totals = Totals(1, result.pairs)
        bad: set[str] = set()
        for found in result.differences:
            entry = accepting_entry(case, found)
            if entry:
                totals.accepted[entry.name] += 1
            else:
                bad.add(found.name)
                totals.unexplained.append(f"{operation} {_short(body)}: {found}")
        totals.same = result.pairs - (result.pairs if "" in bad else len(bad))
        return totals


def _short(body: Mapping[str, Any]) -> str:
    text = str(dict(body))
    return text if len(text) <= 900 else f"{text[:900]}..."
