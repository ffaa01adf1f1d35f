"""Whatever touches the slots of a series is within what is searched of them, whichever bytes are around."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from deidflow.tasks.verification.leaks.atoms import Atom, Sort
from deidflow.tasks.verification.leaks.notations import Gap
from deidflow.tasks.verification.leaks.patterns import FOLDED, Pattern, Patterns, find, squeezed
from deidflow.tasks.verification.reader import Read
from deidflow.tasks.verification.series.layout import Cut, Layout, Leaf, Sample, Slot, Step
from deidflow.tasks.verification.series.windows import make_windows

RUNS = st.lists(st.sampled_from((b"a", b"b", b"\0", b".", b"a\0", b"B\0")), max_size=6).map(b"".join)
SOUGHT = [
    Pattern(squeezed(b"".join(words)), words, gap)
    for words in ((b"a", b"b", b"a"), (b"b", b"b", b"a"))
    for gap in Gap
    if gap is not Gap.NONE
]


@settings(max_examples=400)
@given(st.lists(st.tuples(RUNS, RUNS, RUNS), min_size=1, max_size=3), RUNS)
def test_whatever_touches_a_slot(drawn: list[tuple[bytes, bytes, bytes]], last: bytes) -> None:
    """Other values, of other lengths, than in the instance that the layout is of."""
    runs = [*(run for run, _, _ in drawn), last]
    first, second = [value for _, value, _ in drawn], [value for _, _, value in drawn]

    def laid_out(values: list[bytes]) -> tuple[bytes, list[tuple[int, int]]]:
        made, slots = runs[0], []
        for value, run in zip(values, runs[1:], strict=True):
            made += len(value).to_bytes(2, "little")
            slots.append((len(made), len(made) + len(value)))
            made += value + run
        return made, slots

    slots = [Slot(Leaf((0x10,), (0x10, b"LO", *span, None)), 2) for span in laid_out(first)[1]]
    layout = Layout([Step(run, 2, 0, may_begin_items=False) for run in runs[:-1]], runs[-1])
    whole, spans = laid_out(second)
    pieces = make_windows(Sample(Read(), layout, slots), 0).pieces(Cut(whole, spans))

    for pattern in SOUGHT:
        _, hits = find(whole, Patterns(()), [(pattern, Atom(Sort.PHRASE, "?"))])
        for hit in hits:
            if any(start - 2 < hit.end and hit.start < end for start, end in spans):
                found = re.escape(whole[hit.start : hit.end].translate(FOLDED))
                assert any(re.search(found, piece.translate(FOLDED)) for piece in pieces)
