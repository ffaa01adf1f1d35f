"""Options and values that an engine or a version of a server does not take: each is named, and nothing else is."""

from __future__ import annotations

from typing import Any

import pytest

from deidflow.tasks.core.plan.server_abilities import ServerAbilities, server_notes
from deidflow.tasks.core.plan.server_checks import (
    check_destination_settings,
    check_request_on_server,
    check_settings_on_server,
)
from deidflow.tasks.core.request.engine_options import options_without_effect
from deidflow.tasks.core.request.request import Operation, Request, Settings, parse_request

EVERYTHING = Settings(private_creator="ACME", keep_labels=True, lossy_quality=50, priority=-1, permissive=True)
NEWEST = ServerAbilities((1, 13, 0), frozenset(), "", "Recycle")


def asked(server: ServerAbilities, operation: Operation = Operation.MODIFY, **body: Any) -> list[str]:
    """Return the columns and keys that a server's version makes problems of."""
    request: Request = parse_request(operation, body)
    found = [
        *check_settings_on_server(request.settings, server, frozenset(Operation)),
        *check_request_on_server(request, server),
    ]
    return [name for name, _ in found]


def test_options_that_an_engine_passes_over() -> None:
    """Those that only an Orthanc reads, and the one that none reads."""
    local = [name for name, _ in options_without_effect(EVERYTHING, on_server=False)]
    remote = [name for name, _ in options_without_effect(EVERYTHING, on_server=True)]

    assert ["PrivateCreator", "KeepLabels", "LossyQuality", "Priority"] == local
    assert ["LossyQuality"] == remote
    assert [] == list(options_without_effect(Settings(), on_server=False))


@pytest.mark.parametrize(
    ("body", "where", "since"),
    [
        ({"Replace": {"SimpleFrameList": "1\\2"}}, "Replace.SimpleFrameList", (1, 12, 5)),
        ({"Replace": {"PointCoordinatesData": "1.5\\2"}}, "Replace.PointCoordinatesData", (1, 12, 5)),
        ({"Replace": {"SelectorUVValue": "1"}}, "Replace.SelectorUVValue", (1, 13, 0)),
        ({"Replace": {"FrameIncrementPointer": "FrameTime\\FrameTime"}}, "Replace.FrameIncrementPointer", (1, 13, 0)),
        ({"Replace": {"GraphicLayerSequence": [{"GraphicLayerRecommendedDisplayCIELabValue": "1\\2\\3"}]}},
         "Replace.GraphicLayerSequence", (1, 12, 5)),
        ({"KeepLabels": True}, "options.KeepLabels", (1, 12, 3)),
        ({"Level": "Series"}, "options.Level", (1, 9, 7)),
        ({"DicomVersion": "2023b"}, "options.DicomVersion", (1, 12, 1)),
    ],
)  # fmt: skip
def test_what_came_with_a_version(body: dict[str, Any], where: str, since: tuple[int, int, int]) -> None:
    """Named on the version before, not on the version itself."""
    before = (since[0], since[1], since[2] - 1) if since[2] else (since[0], since[1] - 1, 99)

    assert [where] == asked(ServerAbilities(before, frozenset(), "", "Recycle"), **body)
    assert [] == asked(ServerAbilities(since, frozenset(), "", "Recycle"), **body)


def test_one_value_of_each_is_taken_by_all() -> None:
    """A single number or tag, an emptied element and several numbers of an ambiguous VR are no problem anywhere."""
    values = {
        "SimpleFrameList": "1",
        "FrameIncrementPointer": "FrameTime",
        "SelectorUVValue": "",
        "LUTData": "",
        "RedPaletteColorLookupTableDescriptor": "1\\2\\3",
    }
    assert [] == asked(ServerAbilities((1, 10, 1), frozenset()), Replace=values)


def test_anonymization_inside_sequences() -> None:
    """1.9.4 leaves what stands in sequences: its anonymization is refused, its modify is not."""
    oldest = ServerAbilities((1, 9, 4), frozenset())

    assert ["operation"] == asked(oldest, Operation.ANONYMIZE, DicomVersion="2021b")
    assert [] == asked(oldest)


@pytest.mark.parametrize("target", ["1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.5"])
def test_targets_that_need_a_plugin(target: str) -> None:
    """Refused where the server tells that it has none; where it does not tell, plan notes it."""
    with_gdcm = ServerAbilities((1, 13, 0), frozenset({"gdcm"}), "", "Recycle")
    silent = ServerAbilities((1, 13, 0), None, "", "Recycle")

    assert ["options.Transcode"] == asked(NEWEST, Transcode=target)
    assert [] == asked(with_gdcm, Transcode=target) == asked(silent, Transcode=target)
    (note,) = server_notes(silent, Settings(transcode=target), edits=True)
    assert note.startswith("Transcode: ")


@pytest.mark.parametrize("end", ["", ".1", ".2", ".1.99", ".4.50", ".4.51", ".4.57", ".4.70", ".4.80", ".4.81"])
def test_targets_of_every_server(end: str) -> None:
    """What the codecs of all versions write."""
    assert [] == asked(ServerAbilities((1, 10, 1), frozenset()), Transcode=f"1.2.840.10008.1.2{end}")


def test_conversion_of_what_is_stored() -> None:
    """Lossy conversion is refused unless Transcode takes its place, and any before 1.11.3; lossless is noted."""
    lossy, lossless = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.70"
    early = ServerAbilities((1, 11, 2), frozenset(), lossless, "Recycle")
    converts = ServerAbilities((1, 13, 0), frozenset(), lossless, "Recycle")

    assert ["options.Transcode"] == asked(ServerAbilities((1, 13, 0), frozenset(), lossy, "Recycle"))
    assert [] == asked(ServerAbilities((1, 13, 0), frozenset(), lossy, "Recycle"), Transcode=lossless)
    assert ["source.orthanc"] == asked(early) == asked(early, Transcode="1.2.840.10008.1.2.1")
    assert [] == asked(early, Transcode=lossless)
    assert [] == asked(converts)
    assert ["IngestTranscoding"] == [note.split(":")[0] for note in server_notes(converts, Settings(), edits=True)]
    assert [] == list(server_notes(converts, Settings(transcode=lossless), edits=True))
    assert [] != list(server_notes(converts, Settings(transcode=lossless), edits=False))


def test_a_destination_that_converts() -> None:
    """The local engine's results must have its transfer syntax, or would not stay what they are."""
    converts = ServerAbilities((1, 12, 7), frozenset(), "1.2.840.10008.1.2.4.70", "Recycle")

    found = dict(check_destination_settings(Settings(), converts))
    assert ["options.Transcode"] == [*found]
    assert "must be 1.2.840.10008.1.2.4.70 here" in found["options.Transcode"]
    assert ["options.Transcode"] == [k for k, _ in check_destination_settings(Settings(transcode="1.2.3"), converts)]
    assert [] == [*check_destination_settings(Settings(transcode="1.2.840.10008.1.2.4.70"), converts)]
    assert [] == [*check_destination_settings(Settings(), NEWEST)]


def test_a_server_without_oddities_has_no_notes() -> None:
    """Plan prints a note only where there is something to know."""
    assert [] == list(server_notes(NEWEST, Settings(), edits=True))
