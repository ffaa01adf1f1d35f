"""Which instances of a call are sent: those that are there, of patients that agree, whose results take nobody's place.

Public names: ``admitted``, ``only_held``, ``is_sent_as_patient``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from deidflow.tasks.core.dicom.identifiers import Level
from deidflow.tasks.core.engine.protocol import InstanceResult
from deidflow.tasks.core.outcomes import Outcome, ReasonCode
from deidflow.tasks.core.request.request import Operation
from deidflow.tasks.orthanc.resources.destination_conflicts import conflicting_originals
from deidflow.tasks.orthanc.resources.resources import still_there
from deidflow.tasks.orthanc.resources.torn_patients import torn_patients

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from deidflow.tasks.core.engine.protocol import Call
    from deidflow.tasks.core.request.request import Request
    from deidflow.tasks.orthanc.connection.client import OrthancClient
    from deidflow.tasks.orthanc.resources.server import Server

    Record = Callable[[Sequence[InstanceResult]], None]

_GONE: Final = "the Orthanc does not hold the instance any more"
_TAKEN: Final = "another object stands where the result belongs"
_TORN_PATIENT: Final = (
    "other studies of the patient on the server say otherwise who it is; "
    "edit the patient as a whole, or give all of the patient's attributes as they are there in Replace"
)


def admitted(client: OrthancClient, server: Server, call: Call, record: Record) -> Call:
    """Fail the instances that must not be sent, and leave them out.

    Args:
        client: The server.
        server: What it can do.
        call: Which one.
        record: Takes the results of those that failed: ``source-changed`` or ``destination-conflict``.

    Raises:
        DeidflowError: See ``deidflow.tasks.orthanc.connection.errors``.

    """
    names = [instance.orthanc_id for instance in call.instances]
    call = only_held(call, still_there(client, names), record)
    call = _without(call, conflicting_originals(client, call), _TAKEN, record)
    if is_sent_as_patient(server, call.request):
        call = _without(call, torn_patients(client, call), _TORN_PATIENT, record)
    return call


def only_held(call: Call, held: Collection[str], record: Record) -> Call:
    """Fail the instances that left the server since the plan was frozen, or before the call was sent.

    Args:
        call: Which one.
        held: Orthanc IDs of the instances that it holds, or was sent.
        record: Takes the results of those that failed.

    """
    there = set(held)
    gone = [instance for instance in call.instances if instance.orthanc_id not in there]
    if gone:
        record([InstanceResult(one.id, Outcome.FAILED, ReasonCode.SOURCE_CHANGED, _GONE) for one in gone])
    return call._replace(instances=[instance for instance in call.instances if instance.orthanc_id in there])


def is_sent_as_patient(server: Server, request: Request) -> bool:
    """Whether a modification of studies goes out at level Patient, where the server checks nothing (1.11.3 on)."""
    is_study = request.operation is Operation.MODIFY and request.level() is Level.STUDY
    return server.checks_patients and is_study


def _without(call: Call, contradicting: Collection[str], why: str, record: Record) -> Call:
    """Fail the instances whose results would contradict what is on the server."""
    conflict = (Outcome.FAILED, ReasonCode.DESTINATION_CONFLICT, why)
    record([InstanceResult(one.id, *conflict) for one in call.instances if one.orthanc_id in contradicting])
    return call._replace(instances=[one for one in call.instances if one.orthanc_id not in contradicting])
