"""Jobs whose server was killed and started again while they ran.

1.12.7 and 1.13.0 have such a job in Failure. 1.10.1 runs it again from the start, under other UIDs, if it had saved it
(``SaveJobs``; some 0.1 s after it was made). Since the calls are permissive it then ends in Success, seen with 359 to
400 outputs for 400 instances, and nothing in it tells that anything happened: ``CreationTime`` is the same, and
``EffectiveRuntime`` goes on through the time when there was no server. The copies that it made before are on the server
and in no job. They came before the first output that the job lists; so may have what others made of the same originals
meanwhile, and only the mark of the call tells the two apart.

Public names: ``possible_surplus_results``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from deidflow.tasks.orthanc.resources.bulk_content import read_content
from deidflow.tasks.orthanc.resources.own_results import results_by_study, unlinked

if TYPE_CHECKING:
    from collections.abc import Collection

    from deidflow.tasks.orthanc.connection.client import OrthancClient
    from deidflow.tasks.orthanc.jobs.jobs import Job
    from deidflow.tasks.orthanc.resources.changes import Changes

_START_S: Final = 0.03
"""No server is back sooner: on a fast machine, with an empty index, Orthanc answers after 0.035 s."""


def possible_surplus_results(
    client: OrthancClient,
    changes: Changes,
    since: int,
    job: Job,
    instance_ids: Collection[str],
    studies: Collection[str],
    *,
    loses_links: bool = False,
) -> list[str]:
    """Find what may be results of a job's first life, when it ended well in its second.

    One request as a rule, none for a job that was too short where results tell what they were made from; two when
    others wrote at the same time. When the list of changes lacks outputs of the job, somebody cleared it, and the
    results of its originals are looked for by study.

    Args:
        client: The server.
        changes: Of that server.
        since: A change before the job was made.
        job: In state Success.
        instance_ids: What it was given.
        studies: Of these.
        loses_links: Whether results may not tell what they were made from.

    Returns:
        Instances made from those of the job, and not listed by it: its own copies, or somebody else's results.

    Raises:
        DeidflowError: See ``deidflow.tasks.orthanc.connection.errors``.

    """
    if job.runtime_s < _START_S and not loses_links:
        return []
    outputs, originals = frozenset(job.output_instances), frozenset(instance_ids)
    before: set[str] = set()
    later: set[str] = set()
    seen: set[str] = set()
    for name in changes.new_instances(since):
        if name in outputs:
            seen.add(name)
        elif name not in originals:
            (later if seen else before).add(name)
    found = list(read_content(client, before))
    # What is converted with loss gets another SOPInstanceUID than the job lists, whenever it comes.
    linkless = unlinked([*found, *read_content(client, later)], originals) if loses_links else []
    if len(seen) < len(outputs):
        by_study = results_by_study(client, originals, studies)
        return [*(name for name in by_study if name not in outputs), *linkless]
    return [*(item.id for item in found if not originals.isdisjoint(item.origins)), *linkless]
