"""Private elements named by their creator in a config, in the columns and cells of a manifest, and on a server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from deidflow.tasks.core.config.options import read_options
from deidflow.tasks.core.config.overrides import apply_override
from deidflow.tasks.core.dicom.tags import TagSyntaxError, parse_path
from deidflow.tasks.core.errors import InvalidInput
from deidflow.tasks.core.plan.server_abilities import ServerAbilities
from deidflow.tasks.core.plan.server_checks import check_request_on_server
from deidflow.tasks.core.request.edits import Edits
from deidflow.tasks.core.request.request import Operation, parse_request
from tests.core.manifests import defaults, rows, some_id, written

if TYPE_CHECKING:
    from collections.abc import Sequence

CSA = '0029,"SIEMENS CSA HEADER",10'
ODD = '0019,"A; B.C [1] ""x"", y",02'


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_cells_and_columns_of_a_manifest(separator: str) -> None:
    """In CSV quoting, with any separator; what stands in quotation marks is not split."""
    records = [
        ("orthanc_id", f"Replace.{CSA}", f"Clear.{ODD}", "Keep", "Remove"),
        (some_id(1), "NEW", "yes", f"SeriesDescription; {ODD.replace('0019', '0021')} ;0029,1011", ""),
        (some_id(2), "", "", "", f"{CSA};{ODD}"),
    ]
    text = written(records).decode("utf-8-sig") if separator == "," else _lines(records, separator)
    first, second = (row.request for row in rows(text))

    assert first is not None
    assert second is not None
    assert {parse_path(CSA): "NEW", parse_path(ODD): ""} == first.edits.replace
    assert {parse_path(ODD.replace("0019", "0021")), parse_path("0029,1011"), parse_path("SeriesDescription")} == set(
        first.edits.keep
    )
    assert {parse_path(CSA), parse_path(ODD)} == set(second.edits.remove)


def _lines(records: Sequence[tuple[str, ...]], separator: str) -> str:
    quoted = [['"{}"'.format(cell.replace('"', '""')) for cell in record] for record in records]
    return "\n".join(separator.join(record) for record in quoted)


def test_a_row_overrules_the_config() -> None:
    """However either spells the element."""
    given = defaults(Keep=[CSA], Remove=["Modality"])
    text = written([("orthanc_id", "Remove"), (some_id(1), ' (29,"SIEMENS CSA HEADER" ,10) ')])
    (row,) = rows(text, given)

    assert row.request is not None
    assert (parse_path(CSA),) == tuple(path for path in row.request.edits.remove if path.names_creator)
    assert () == row.request.edits.keep


def test_set_on_the_command_line() -> None:
    """What stands between the quotation marks is the creator's, an equals sign among it."""
    data: dict[str, Any] = {"options": {"Replace": {CSA: "old"}}}
    apply_override(data, f"options.Replace.{CSA.replace(',', ' ,', 1).replace(' ,', ',')}=a=b")
    apply_override(data, 'options.Replace.0029,"X=1",10=c')

    assert {"options": {"Replace": {CSA: "a=b", '0029,"X=1",10': "c"}}} == data


@pytest.mark.parametrize(
    "text",
    [
        '0028,"CREATOR",10', '0007,"CREATOR",10', 'FFFF,"CREATOR",10', '0029,"",10', '0029,"  ",10', '0029,"CREATOR"',
        '0029,"CREATOR",100', '0029,"CREATOR",x0', '0029,"CREATOR,10', '0029,CREATOR",10', '0029,"A\\B",10', '"',
        '0029,"CREATOR",10[0]', '0029,"CREATOR",10.Modality', f'0029,"{"A" * 65}",10', 'Seq"uence"[0].Modality',
    ],
)  # fmt: skip
def test_what_is_no_such_name(text: str) -> None:
    """Refused with what a good name looks like; the text itself is not repeated."""
    with pytest.raises(TagSyntaxError) as error:
        parse_path(text)

    assert "CREATOR" not in str(error.value)
    assert '0029,"SIEMENS CSA HEADER",10' in str(error.value) or "index" in str(error.value) or "[" in str(error.value)


def test_a_problem_names_key_and_entry() -> None:
    """In the config under the key, in a cell by its number."""
    _, _, problems = read_options({"Keep": ['0028,"X",10'], "Replace": {'0029,"X",1000': "a"}})
    with pytest.raises(InvalidInput) as error:
        parse_request(Operation.MODIFY, {"Remove": ['0029,"X"']})

    assert ['options.Replace.0029,"X",1000', 'options.Keep.0028,"X",10'] == [problem.key for problem in problems]
    assert ['Remove.0029,"X"'] == [problem.column for problem in error.value.problems]


@pytest.mark.parametrize("version", [(1, 10, 1), (1, 13, 0)])
def test_no_orthanc_reads_it(version: tuple[int, int, int]) -> None:
    """Each entry is named by its member, with the engine that does it; plain numbers pass."""
    server = ServerAbilities(version, frozenset(), "", "Recycle")
    body = {"Replace": {CSA: "x"}, "Keep": [f"ReferencedImageSequence[*].{ODD}"], "Remove": [f"{CSA}[0].Modality"]}
    found = list(check_request_on_server(parse_request(Operation.MODIFY, body), server))
    plain = parse_request(Operation.MODIFY, {"Keep": ["0029,1010"]})

    assert ["Replace", "Remove", "Keep"] == [member for member, _ in found]
    assert all("engine: local" in text for _, text in found)
    assert [] == list(check_request_on_server(plain, server))


def test_plain_numbers_are_told_from_names() -> None:
    """What plan warns of: private elements inside a block, named by number anywhere on a path."""
    names = ("0029,1010", "0029,0010", CSA, "0029,1011[*].Modality", f"ReferencedImageSequence[0].{CSA}", "PatientID")
    edits = Edits(keep=tuple(map(parse_path, names)))

    assert ["0029,1010", "0029,1011[*].Modality"] == [path.describe() for path in edits.private_numbers()]
