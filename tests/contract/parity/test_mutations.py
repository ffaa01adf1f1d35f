"""The engine broken on purpose in twelve small ways: the comparison must notice each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from deidflow.tasks.core.request.edits import Edits
from deidflow.tasks.local import worker
from deidflow.tasks.local.deidentification.compile import compile_request
from deidflow.tasks.local.dicom_file import values
from deidflow.tasks.local.dicom_file.character_sets import CharacterSet
from deidflow.tasks.local.editing import instance as editor
from deidflow.tasks.local.editing.actions import Action, Rule
from deidflow.tasks.local.editing.references import References
from deidflow.tasks.local.transcoding import transcoder
from tests.contract.parity.built import built_files
from tests.contract.parity.images import image_files
from tests.contract.parity.requests import ANONYMIZE, MODIFY, RLE
from tests.contract.parity.runner import Runner

if TYPE_CHECKING:
    from collections.abc import Callable

    from deidflow.tasks.core.request.request import Operation, Request
    from deidflow.tasks.local.dicom_file.elements import Item
    from deidflow.tasks.local.editing.spans import Span
    from deidflow.tasks.local.editing.table import Table, Tables
    from tests.orthanc_server import OrthancServer

Patch = pytest.MonkeyPatch
REFERENCED_SOP_INSTANCE_UID = 0x00081155
PRIVATE = 0x00091001


def _with_table(patch: Patch, change: Callable[[Table], None]) -> None:
    def compile_wrongly(request: Request, **options: Any) -> Tables:
        tables = compile_request(request, **options)
        change(tables.of_class(""))
        return tables

    patch.setattr(worker, "compile_request", compile_wrongly)


def skip_nested_removal(patch: Patch) -> None:
    """Leave elements in items that are to be removed."""

    def change(table: Table) -> None:
        rules = table.nested.by_tag
        table.nested.by_tag = {tag: rule for tag, rule in rules.items() if rule.action is not Action.REMOVE}

    _with_table(patch, change)


def wrong_padding(patch: Patch) -> None:
    """Pad text with NUL."""
    patch.setattr(values, "_padded", lambda data, _: data + b"\0" * (len(data) % 2))


def forget_a_uid_tag(patch: Patch) -> None:
    """Leave ReferencedSOPInstanceUID."""

    def change(table: Table) -> None:
        table.nested.by_tag.pop(REFERENCED_SOP_INSTANCE_UID, None)

    _with_table(patch, change)


def lose_an_empty_item(patch: Patch) -> None:
    """Write no item without elements."""
    write_item = editor.Editor._item

    def lose(self: editor.Editor, written: Any, item: Item, *args: Any, **options: Any) -> None:
        if item[4]:
            write_item(self, written, item, *args, **options)

    patch.setattr(editor.Editor, "_item", lose)


def lose_an_empty_sequence(patch: Patch) -> None:
    """Write no sequence without items."""
    write_sequence = editor.Editor._sequence

    def lose(self: editor.Editor, output: Any, element: Any, *args: Any) -> None:
        if element[5][1]:
            write_sequence(self, output, element, *args)

    patch.setattr(editor.Editor, "_sequence", lose)


def keep_a_private_tag(patch: Patch) -> None:
    """Let one private element through."""

    def change(table: Table) -> None:
        table.top.by_tag[PRIVATE] = Rule(Action.KEEP, "")

    _with_table(patch, change)


def swap_replace_and_remove(patch: Patch) -> None:
    """Let Remove win over Replace."""

    def normalized(self: Edits) -> Edits:
        keep = set(self.keep)
        remove = tuple(path for path in self.remove if path not in keep)
        return Edits({path: value for path, value in self.replace.items() if path not in remove}, remove, self.keep)

    patch.setattr(Edits, "normalized", normalized)


def wrong_character_set(patch: Patch) -> None:
    """Write UTF-8 whatever the file declares."""
    patch.setattr(editor, "declared_charset", lambda *_: CharacterSet(("ISO_IR 192",), ("utf8",)))


def wrong_vr_of_private(patch: Patch) -> None:
    """Write new private elements as text."""
    choose = values.choose_vr
    patch.setattr(values, "choose_vr", lambda tag: "LO" if tag & 0x10000 else choose(tag))


def lose_the_last_fragment(patch: Patch) -> None:
    """Drop the last item of the encapsulated pixels, which are the file's last element (4 bytes in it)."""
    edit = editor.Editor.edit

    def lose(self: editor.Editor, *args: Any) -> list[Span]:
        spans = edit(self, *args)
        last = spans.pop()
        start, end = last[0], last[1]
        return [*spans, (start, end - 20), (end - 8, end)]

    patch.setattr(editor.Editor, "edit", lose)


def map_two_uids_to_one(patch: Patch) -> None:
    """Give the second image's UID to references to the first."""
    map_uid = References._map_uid
    patch.setattr(References, "_map_uid", lambda self, uid: map_uid(self, uid.replace(".543.5.0", ".543.5.1")))


def leave_planes(patch: Patch) -> None:
    """Give colour planes to an encoder that wants pixels."""
    patch.setattr(transcoder, "expand", lambda _: None)


MUTATIONS: list[tuple[Callable[[Patch], None], str, Operation, dict[str, Any]]] = [
    (skip_nested_removal, "rich explicit", ANONYMIZE, {"DicomVersion": "2021b", "KeepPrivateTags": True}),
    (wrong_padding, "image 0", MODIFY, {"Replace": {"StudyDescription": "odd"}}),
    (forget_a_uid_tag, "rich explicit", ANONYMIZE, {"DicomVersion": "2017c"}),
    (lose_an_empty_item, "rich explicit", ANONYMIZE, {"DicomVersion": "2008"}),
    (lose_an_empty_sequence, "rich explicit", ANONYMIZE, {"DicomVersion": "2008"}),
    (keep_a_private_tag, "rich explicit", ANONYMIZE, {"DicomVersion": "2021b"}),
    (
        swap_replace_and_remove,
        "image 0",
        MODIFY,
        {"Replace": {"StudyDescription": "x"}, "Remove": ["StudyDescription"]},
    ),
    (wrong_character_set, "image 0", MODIFY, {"Replace": {"PatientName": "Ä"}}),
    (wrong_vr_of_private, "rich explicit", MODIFY, {"Replace": {"0009,1001": "text"}}),
    (lose_the_last_fragment, "three fragments 1.2.840.10008.1.2.4.50", MODIFY, {}),
    (map_two_uids_to_one, "presentation state", ANONYMIZE, {"DicomVersion": "2008"}),
    (leave_planes, "image of colour planes frames explicit", MODIFY, {"Transcode": RLE}),
]


@pytest.mark.parametrize(("mutate", "name", "operation", "body"), MUTATIONS, ids=[row[0].__name__ for row in MUTATIONS])
def test_breaking_the_engine_is_noticed(
    orthanc: OrthancServer,
    monkeypatch: Patch,
    mutate: Callable[[Patch], None],
    name: str,
    operation: Operation,
    body: dict[str, Any],
) -> None:
    """Sound, the engine gives the same as Orthanc; broken, it does not."""
    files = [file for file in (*built_files(), *image_files()) if file[0] == name]
    with Runner(orthanc.url, orthanc.version) as both:
        sound = both.run(files, [(operation, body)])
        mutate(monkeypatch)
        broken = both.run(files, [(operation, body)])

    assert not sound.unexplained, sound.report()
    assert sound.pairs == 1
    assert broken.unexplained
