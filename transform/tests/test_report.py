"""The report's parts: what flows where, what a masked record shows, a file that is whole or not at all."""

from datetime import timedelta
from pathlib import Path

import pytest
from moovitamix_transform.report.flow import flows
from moovitamix_transform.report.samples import masked
from moovitamix_transform.report.writing import write
from moovitamix_transform.runs import Run, StreamLedger


def run(**numbers: int) -> Run:
    return Run("run", streams=[StreamLedger("tracks", **numbers)])


def test_each_bar_is_as_wide_as_its_records_and_none_that_is_there_is_invisible():
    counted = run(received=4, landed=3, quarantined_lines=1, landed_total=1_000_000, kept=999_998, quarantined=2)

    (flow,) = flows(counted, counted)

    assert [(bar.title, [(piece.name, piece.count) for piece in bar.pieces]) for bar in flow.bars] == [
        ("received", [("received", 4)]),
        ("of them", [("landed", 3), ("quarantined lines", 1)]),
        ("landed in all runs", [("landed in all runs", 1_000_000)]),
        ("what became of them", [("kept", 999_998), ("superseded", 0), ("quarantined", 2)]),
    ]
    for bar in flow.bars:
        assert sum(piece.width for piece in bar.pieces) == pytest.approx(100, abs=0.01)
    assert [piece.width for piece in flow.bars[1].pieces] == [75, 25]
    assert flow.bars[3].pieces[2].width == pytest.approx(1.96, abs=0.01)


@pytest.mark.parametrize("part", ["pruned", "erased", "closed"])
def test_what_is_rare_is_drawn_where_there_is_some(part: str):
    counted = run(landed_total=3, kept=1, superseded=0, quarantined=0, **{part: 2})

    (flow,) = flows(counted, counted)

    assert [(piece.name, piece.count) for piece in flow.bars[-1].pieces if piece.count] == [("kept", 1), (part, 2)]


def test_what_is_not_built_yet_does_not_flow_into_what_was_counted_before():
    built = run(received=5, landed=5, landed_total=5, kept=5)
    read = run(received=2, landed=2)
    read.started_at = built.started_at + timedelta(minutes=1)

    (later,), (same,) = flows(read, built), flows(built, built)

    assert later.bars[2].ribbons == []
    assert len(same.bars[2].ribbons) == 1


def test_before_anything_ran_nothing_flows():
    assert flows(None, None) == []


@pytest.mark.parametrize(
    ("stream", "text", "expected"),
    [
        pytest.param("users", '{"id":7,"email":"ada@example.org"}', '{"id": 7, "email": "xxx@xxxxxxx.xxx"}', id="key"),
        pytest.param("users", '{"id":"ada@example.org"}', '{"id": "xxx@xxxxxxx.xxx"}', id="key_that_is_none"),
        pytest.param("tracks", '{"id":1.5,"ok":true,"a":null}', '{"id": "0.0", "ok": "(bool)", "a": null}', id="kinds"),
        pytest.param("tracks", '{"a":{"ada@example.org":["Ada"]}}', '{"a": {"xxx@xxxxxxx.xxx": ["xxx"]}}', id="nested"),
        pytest.param(None, '{"id":7}', '{"id": "0"}', id="no_stream"),
        pytest.param(
            "listen_history",
            '{"user_id":7,"created_at":"2026-01-05T10:00:00","items":[1]}',
            '{"user_id": 7, "created_at": "2026-01-05T10:00:00", "items": ["0"]}',
            id="composite_key",
        ),
        pytest.param("tracks", "Ada, 36 Žižkov", "xxx, 00 xxxxxx", id="no_json"),
        pytest.param("tracks", '{"name":"' + "a" * 50 + '"}', '{"name": "' + "x" * 32 + '…"}', id="long"),
        pytest.param("tracks", "[" * 100_000, "[" * 32 + "…", id="deep"),
    ],
)
def test_a_masked_record_shows_fields_key_and_shapes(stream: str | None, text: str, expected: str):
    assert masked(stream, text) == expected


def test_a_file_that_cannot_be_written_whole_leaves_the_one_before(tmp_path: Path):
    page = tmp_path / "page.html"
    write(page, "before")

    with pytest.raises(UnicodeEncodeError):
        write(page, "after \ud800")  # no such character

    assert page.read_text() == "before"
    assert list(tmp_path.iterdir()) == [page]
