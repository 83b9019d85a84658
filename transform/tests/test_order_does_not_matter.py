"""Law 5: the same records of a generation, in any order and in any batches, give the same marts."""

import json
from datetime import UTC, datetime
from itertools import pairwise
from random import Random

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from moovitamix_transform.graph import MARTS, models
from moovitamix_transform.sources import GENERATIONS, LINES, record_frame
from moovitamix_transform.streams import STREAMS

INSTANTS = st.sampled_from(["2026-01-01T00:00:00", "2026-01-02T00:00:00", "2026-01-01T22:00:00-02:00", "never", None])
KEYS = st.integers(1, 3)

tracks = st.fixed_dictionaries(
    {"id": KEYS, "created_at": INSTANTS, "updated_at": INSTANTS},
    optional={
        "name": st.sampled_from("ab"),
        "genres": st.sampled_from(["Jazz", "Rock", 7]),
        "duration": st.just("1:00"),
    },
)
users = st.fixed_dictionaries(
    {"id": KEYS, "created_at": INSTANTS, "updated_at": INSTANTS},
    optional={"email": st.sampled_from(["A@b", "b", True])},
)
listens = st.fixed_dictionaries(
    {"user_id": KEYS, "created_at": INSTANTS, "updated_at": INSTANTS},
    optional={"items": st.lists(st.one_of(KEYS, st.none()), max_size=3)},
)
records = st.lists(
    st.tuples(
        st.one_of(
            st.tuples(st.just("tracks"), tracks),
            st.tuples(st.just("users"), users),
            st.tuples(st.just("listen_history"), listens),
        ),
        st.sampled_from([1_767_225_600_000, 1_767_225_600_001]),
    ),
    min_size=1,
    max_size=14,
)
randoms = st.randoms(use_true_random=False)


def in_batches(lines: list[bytes], cuts: list[int]) -> list[list[bytes]]:
    edges = [0, *sorted({cut % (len(lines) + 1) for cut in cuts}), len(lines)]
    return [lines[start:end] for start, end in pairwise(edges) if start < end]


def computed(sent: list) -> dict[str, list[tuple]]:
    """Every mart of these records as rows of the source tables in this order, without a warehouse."""
    tables = {"_lines": pl.LazyFrame(schema=LINES), "generations": pl.LazyFrame(schema=GENERATIONS)}
    for name in STREAMS:
        mine = [(json.dumps(data).encode(), emitted_at) for (stream, data), emitted_at in sent if stream == name]
        ordinals, texts, instants = list(range(len(mine))), [text for text, _ in mine], [at for _, at in mine]
        tables[name] = record_frame("run", 1, ordinals, instants, texts).lazy()
    for model in models().values():
        tables[model.name] = model.frame(tables).collect().lazy()
    return {mart: sorted(tables[mart].collect().rows(), key=str) for mart in MARTS}


@settings(max_examples=12, deadline=None)
@given(records, randoms)
def test_records_in_any_order(sent, random: Random):
    shuffled = random.sample(sent, len(sent))

    marts = computed(sent)

    assert computed(shuffled) == marts


@settings(max_examples=3, deadline=None)
@given(records, randoms, st.lists(st.integers(0, 20), max_size=3))
def test_records_of_one_read_in_any_order_and_any_batches(new_pipeline, record, sent, random: Random, cuts):
    lines = [record(stream, data, emitted_at) for (stream, data), emitted_at in sent]
    shuffled = random.sample(lines, len(lines))
    once, again = new_pipeline(), new_pipeline()

    once.land(lines)
    again.land(*in_batches(shuffled, cuts))
    ledgers = [pipeline.build().streams for pipeline in (once, again)]

    for table in MARTS:
        assert once.rows(table).rows() == again.rows(table).rows(), table
    assert ledgers[0] == ledgers[1]


@settings(max_examples=3, deadline=None)
@given(
    st.lists(listens, min_size=1, max_size=12),
    st.randoms(use_true_random=False),
    st.lists(st.integers(0, 20), max_size=2),
)
def test_listens_of_one_generation_over_several_reads(new_pipeline, record, sent, random: Random, cuts):
    lines = [record("listen_history", data) for data in sent]
    shuffled = random.sample(lines, len(lines))
    once, again = new_pipeline(), new_pipeline()

    once.land(lines)
    once.build()
    for read in in_batches(shuffled, cuts):
        again.land(read)
        again.build()

    for table in MARTS:
        assert once.rows(table).rows() == again.rows(table).rows(), table


def test_the_newest_of_many_records_is_kept_wherever_it_stands(pipeline, record):
    versions = [
        {"id": 7, "name": f"{at}", "created_at": "2026-01-01T00:00:00", "updated_at": f"2026-01-{at:02}T00:00:00"}
        for at in range(1, 21)
    ]
    lines = [record("tracks", version) for version in Random(7).sample(versions, 20)]

    pipeline.land(*in_batches(lines, [3, 9, 10]))
    streams = pipeline.build().streams

    assert pipeline.rows("dim_tracks").select("track_name", "updated_at").rows() == [
        ("20", datetime(2026, 1, 20, tzinfo=UTC))
    ]
    assert (streams["tracks"].kept, streams["tracks"].superseded) == (1, 19)
