"""Orthancs as source and as store of a run; see ``deidflow.tasks.steps.access.seams``.

Public names: ``OrthancOfOriginals``, ``OrthancOfResults``.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.errors import InvalidInput, Problem, TransientError, Unusable
from deidflow.tasks.core.files.locks import lock_server, server_names
from deidflow.tasks.core.ledger.manifest_rows import identifiers_to_find
from deidflow.tasks.core.ledger.results import result_names, sources_of_row
from deidflow.tasks.core.ledger.run_facts import change_facts
from deidflow.tasks.core.plan.intake import add_instances
from deidflow.tasks.core.report.totals import DeletedSources
from deidflow.tasks.orthanc.connection.errors import ReadOnlyServer
from deidflow.tasks.orthanc.presence import presence_on_server, start_presence_on_server
from deidflow.tasks.orthanc.replaced import Replaced
from deidflow.tasks.orthanc.resources.abilities import read_abilities
from deidflow.tasks.orthanc.resources.bulk_content import read_content
from deidflow.tasks.orthanc.resources.resources import resolve
from deidflow.tasks.orthanc.resources.results import delete_instances
from deidflow.tasks.orthanc.resources.server import read_server
from deidflow.tasks.orthanc.store import OrthancServer, OrthancSource, OrthancStore
from deidflow.tasks.steps.access.own_results import proven_results
from deidflow.tasks.steps.access.seams import BatchSize, Presence
from deidflow.tasks.steps.access.servers import connect, server_identity, source_server
from deidflow.tasks.steps.run.settings import load_credentials

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from deidflow.tasks.core.config.config import Config, OrthancAccess
    from deidflow.tasks.core.dicom.identifiers import DicomIdentifiers
    from deidflow.tasks.core.engine.protocol import Expected, InstanceResult
    from deidflow.tasks.core.engine.sources import SourceInstance
    from deidflow.tasks.core.files.locks import Waits
    from deidflow.tasks.core.ledger.ledger import Ledger
    from deidflow.tasks.core.ledger.source_records import FailedSource
    from deidflow.tasks.core.plan.server_abilities import ServerAbilities
    from deidflow.tasks.steps.access.seams import RunSource
    from deidflow.tasks.steps.run.progress import Progress
    from deidflow.tasks.steps.run.run import Run

_LOOKED_FOR: Final = BatchSize(most=5000, least=5000)
_READ: Final = BatchSize(most=256, least=256)
"""Results, and as many originals, in one archive each."""


class OrthancOfOriginals:
    """A source on a server; see ``RunSource``."""

    def __init__(self, url: str, access: OrthancAccess) -> None:
        """Take its address, and the config's group ``orthanc``."""
        self._url = url
        self._access = access

    @property
    def instances(self) -> OrthancSource:
        """The same for worker processes."""
        return OrthancSource(_server(self._url, self._access))

    def problems(self) -> list[Problem]:
        """Look for the variables with credentials."""
        return _credential_problems(self._access)

    def read_into(self, ledger: Ledger, config: Config, progress: Progress) -> ServerAbilities:
        """Ask for what the server holds under the manifest's identifiers."""
        with connect(self._url, self._access) as client:
            server = source_server(config, client)
            abilities = read_abilities(client, server)
            change_facts(
                ledger, lambda facts: replace(facts, server_version=server.text, server_makes_room=server.makes_room)
            )
            progress.start("asking the Orthanc")
            found = _counted(resolve(client, identifiers_to_find(ledger)), progress)
            add_instances(ledger, found, accept_unstable=self._access.accept_unstable)
            progress.finish()
        return abilities

    def require(self, ledger: Ledger, *, every: bool) -> None:
        """Do nothing: a server answers for itself."""

    def as_it_is(self, original: FailedSource) -> SourceInstance | None:
        """Return None: what a server stores does not change; another version is another object."""
        del original
        return None

    def delete(self, run: Run, lines: Sequence[int], progress: Progress) -> DeletedSources:
        """Delete instances whose stored file is the one that was planned, and that are no result of this run.

        A later version under the same identifiers has another FileUuid, and stays.
        """
        results = result_names(run.ledger)
        planned = {
            one.orthanc_id: one.content
            for line in lines
            for one in sources_of_row(run.ledger, line)
            if one.orthanc_id not in results
        }
        with connect(self._url, self._access) as client:
            there = {one.id: one.file_uuid for one in read_content(client, planned)}
            same = [name for name, content in there.items() if content and content == planned[name]]
            delete_instances(client, same)
        progress.advance(len(planned))
        changed = len(there) - len(same)
        return DeletedSources(len(planned) - changed, changed=changed)

    def is_at(self, url: str, access: OrthancAccess) -> bool:
        """Compare what the two servers say they are.

        Before 1.11.1 servers do not tell: then they are one where their addresses lead to one place.
        """
        own, other = (
            server_names(place, server_identity(place, group))
            for place, group in ((self._url, self._access), (url, access))
        )
        return not own.isdisjoint(other)


class OrthancOfResults:
    """A server that results go to; see ``RunStore``."""

    are_files = False

    def __init__(self, url: str, access: OrthancAccess, *, overwrite: bool, edits: bool) -> None:
        """Take its address.

        Args:
            url: Of the server.
            access: The config's group ``orthanc``.
            overwrite: Whether other objects in the places of results are replaced.
            edits: Whether it is the engine, too, and so the source.

        """
        self._url = url
        self._access = access
        self._overwrite = overwrite
        self._edits = edits
        self.key = "source.orthanc" if edits else "destination.orthanc"

    def batch(self, *, full: bool) -> BatchSize:
        """Return how many results are looked at together."""
        return _READ if full else _LOOKED_FOR

    @property
    def presence(self) -> Presence:
        """The server is asked."""
        server = _server(self._url, self._access)
        return Presence(presence_on_server, start_presence_on_server, server, only_waits=True)

    def results(self, run: Run) -> OrthancStore:
        """Return the same for worker processes."""
        return OrthancStore(_server(self._url, self._access), str(run.folder) if self._overwrite else None)

    def problems(self) -> list[Problem]:
        """Look for the variables with credentials."""
        return _credential_problems(self._access)

    def own_trouble(self) -> None:
        """Return None: only the server can tell."""

    def trouble(self) -> Unusable | TransientError | None:
        """Ask the server whether it can be used, and writes."""
        if self._edits:  # asked as the source
            return None
        try:
            with connect(self._url, self._access) as client:
                return ReadOnlyServer() if read_server(client).read_only else None
        except (Unusable, TransientError) as error:
            return error
        except InvalidInput:  # credentials or certificates, told as such
            return None

    def abilities(self) -> ServerAbilities | None:
        """Ask the server, unless it is the source."""
        if self._edits:
            return None
        with connect(self._url, self._access, warn=False) as client:
            return read_abilities(client, read_server(client))

    def is_in(self, source: RunSource) -> bool:
        """Compare with the source's server."""
        return self._edits or source.is_at(self._url, self._access)

    def describe(self) -> str:
        """Return its address."""
        return "the same Orthanc" if self._edits else self._url

    def holds_results(self) -> bool:
        """Return False: only the ledgers of earlier runs tell which of its objects are results."""
        return False

    def room(self) -> None:
        """Return None: a server does not tell."""

    def makes_room(self) -> bool:
        """Ask the server; old ones do not tell (1.10.1)."""
        with connect(self._url, self._access, warn=False) as client:
            return read_server(client).makes_room is not False

    @contextlib.contextmanager
    def locked(self, waits: Waits | None = None) -> Iterator[None]:
        """Lock the server, for deidflow on this machine."""
        with lock_server(self._url, server_identity(self._url, self._access), waits):
            yield

    @contextlib.contextmanager
    def prepared(self, run: Run) -> Iterator[None]:
        """Put back, before and after, what an earlier attempt took from its place and did not replace."""
        with self.locked(run.waits()):
            if self._edits:
                yield
                return
            with connect(self._url, self._access) as client:
                replaced = Replaced(str(run.folder))
                replaced.put_back(client)
                try:
                    yield
                finally:
                    replaced.put_back_if_possible(client)

    def require(self, ledger: Ledger) -> None:
        """Do nothing: a server answers for itself."""

    def remove(self, run: Run, wrong: Sequence[tuple[Expected, InstanceResult]]) -> list[int]:
        """Take out only what is known to be this run's: what carries its mark, or was written with these very bytes."""
        own = [
            one
            for one, result in wrong
            if (result.evidence and result.evidence == one.evidence) or (self._edits and not one.evidence)
        ]
        if not own:
            return []
        client = _server(self._url, self._access).client()
        if self._edits:
            proven = proven_results(run, client, {one.instance.id: one.result_id for one in own})
            own = [one for one in own if one.instance.id in proven]
        delete_instances(client, [one.result_id for one in own])
        return [one.instance.id for one in own]

    def withdraw(self, new: DicomIdentifiers) -> bool:
        """Leave it: what stands there is compared, or replaced, when the new one comes."""
        del new
        return True


def _server(url: str, access: OrthancAccess) -> OrthancServer:
    """Return an Orthanc as worker processes get it."""
    return OrthancServer(url, access, load_credentials(access))


def _credential_problems(access: OrthancAccess) -> list[Problem]:
    try:
        load_credentials(access)
    except InvalidInput as error:
        return list(error.problems)
    return []


def _counted(instances: Iterator[SourceInstance], progress: Progress) -> Iterator[SourceInstance]:
    for instance in instances:
        progress.advance()
        yield instance
