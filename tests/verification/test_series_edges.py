"""A phrase that goes over the edge of a slot is seen in the letters of the slots and what is around them."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from deidflow.tasks.verification.leaks.atoms import Atom, Sort
from deidflow.tasks.verification.leaks.notations import Gap
from deidflow.tasks.verification.leaks.patterns import Pattern, Patterns, find
from deidflow.tasks.verification.reader import Read
from deidflow.tasks.verification.series.edges import make_edges
from deidflow.tasks.verification.series.layout import Cut, Layout, Leaf, Sample, Slot, Step

RUNS = st.lists(st.sampled_from((b"a", b"b", b"\0", b".", b"\0\0", b"AB")), max_size=6).map(b"".join)
WORDS = st.lists(st.sampled_from((b"a", b"b", b"ab", b"ba")), min_size=2, max_size=3).map(tuple)


@settings(deadline=None)
@given(st.lists(RUNS, min_size=2, max_size=4), st.data(), st.lists(WORDS, min_size=1, max_size=4))
def test_whatever_goes_over_an_edge(runs: list[bytes], data: st.DataObject, phrases: list[tuple[bytes, ...]]) -> None:
    """Other values, of other lengths, than in the instance that the layout is of."""
    first, second = ([data.draw(RUNS) for _ in runs[1:]] for _ in range(2))

    def laid_out(values: list[bytes]) -> tuple[bytes, list[tuple[int, int]]]:
        made, slots = runs[0], []
        for value, run in zip(values, runs[1:], strict=True):
            made += len(value).to_bytes(2, "little")
            slots.append((len(made), len(made) + len(value)))
            made += value + run
        return made, slots

    slots = [Slot(Leaf((0x10,), (0x10, b"LO", *span, None)), 2) for span in laid_out(first)[1]]
    layout = Layout([Step(run, 2, 0, may_begin_items=False) for run in runs[:-1]], runs[-1])
    patterns = [Pattern(b"".join(words), words, Gap.TEXT) for words in phrases]
    edges = make_edges(Sample(Read(), layout, slots), (), [one.key for one in patterns])
    whole, spans = laid_out(second)
    assert edges is not None
    letters = edges.letters(Cut(whole, spans))

    for pattern in patterns:
        _, hits = find(whole, Patterns(()), [(pattern, Atom(Sort.PHRASE, "?"))])
        for hit in hits:
            if any(start - 2 < hit.end and hit.start < end for start, end in spans):
                assert pattern.key in letters
