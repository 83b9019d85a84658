"""Rows that appear and vanish while a stream is read: none that lives throughout may be missing."""

import re

import pytest


def tracks(*ids):
    return [{"id": i, "name": f"track {i}", "updated_at": "2026-01-01T00:00:00"} for i in ids]


def ids(sync):
    return {row["id"] for row in sync.rows("tracks")}


@pytest.mark.parametrize("pages_ahead", [0, 1, 8])
def test_rows_removed_from_pages_already_read_cost_one_page_read_again(api, read, pages_ahead):
    api.rows["tracks"] = tracks(*range(1000))

    def remove_fifty_after_page_4(request):
        if request.page == 5 and len(api.rows["tracks"]) == 1000:
            api.rows["tracks"] = tracks(*range(50, 1000))

    api.fault = remove_fifty_after_page_4

    sync = read("tracks", pages_ahead=pages_ahead)

    assert ids(sync) >= set(range(50, 1000))
    assert sync.errors == []
    if pages_ahead == 0:
        assert api.pages("tracks") == [1, 2, 3, 4, 5, 4, 6, 7, 8, 9, 10]


@pytest.mark.parametrize("pages_ahead", [0, 8])
def test_a_row_removed_before_every_request_ends_with_every_surviving_row(api, read, pages_ahead):
    api.rows["tracks"] = tracks(*range(1000))

    def remove_the_first(request):
        if request.page > 1:
            api.rows["tracks"] = api.rows["tracks"][1:]

    api.fault = remove_the_first

    sync = read("tracks", pages_ahead=pages_ahead)

    surviving = {row["id"] for row in api.rows["tracks"]}
    assert ids(sync) >= surviving
    assert sync.errors == []
    assert len(api.requests) <= 30 + pages_ahead, "what was in flight when rows began to move is asked for again"


def test_rows_added_in_front_are_seen_twice_and_none_is_missing(api, read):
    api.rows["tracks"] = tracks(*range(1000))

    def add_thirty_in_front(request):
        if request.page == 5 and len(api.rows["tracks"]) == 1000:
            api.rows["tracks"] = tracks(*range(-30, 1000))

    api.fault = add_thirty_in_front

    sync = read("tracks", pages_ahead=0)

    assert ids(sync) >= set(range(1000))
    assert len(sync.rows("tracks")) == 1030
    assert api.pages("tracks") == list(range(1, 12))


def test_a_total_that_falls_late_makes_the_reader_start_over(api, read):
    """Fifty rows are removed before page 5, but `total`, from a cache, says so on page 8 only."""
    api.rows["tracks"] = tracks(*range(1000))

    def stale_total(request):
        if request.page == 5 and len(api.rows["tracks"]) == 1000:
            api.rows["tracks"] = tracks(*range(50, 1000))
        return api.page(request, total=1000, pages=10) if request.page < 8 and len(api.requests) < 8 else None

    api.fault = stale_total

    sync = read("tracks", pages_ahead=0)

    assert ids(sync) >= set(range(50, 1000))
    assert sync.errors == []


def test_a_replica_that_knows_half_of_the_rows_for_one_answer_loses_none(api, read):
    api.rows["tracks"] = tracks(*range(1000))
    answered = []

    def half_once(request):
        if request.page == 6 and not answered:
            answered.append(request)
            return api.page(request, items=[], total=500, pages=5)
        return None

    api.fault = half_once

    sync = read("tracks", pages_ahead=0)

    assert ids(sync) == set(range(1000))


@pytest.mark.parametrize("pages_ahead", [0, 8])
@pytest.mark.parametrize("earlier", [False, True], ids=["at_once", "after_an_earlier_removal"])
def test_rows_that_slid_further_than_total_fell_are_found(api, read, pages_ahead, earlier):
    """150 rows go in front, 100 come at the end: `total` falls by 50, and 100 more have slid by."""
    api.rows["tracks"] = tracks(*range(2000))
    first = iter([earlier])

    def remove_and_add(request):
        if request.page == 3 and next(first, False):
            api.rows["tracks"] = tracks(*range(1, 2000))
        if request.page == 6 and len(api.rows["tracks"]) == 2000 - earlier:
            api.rows["tracks"] = tracks(*range(150 + earlier, 2100))

    api.fault = remove_and_add

    sync = read("tracks", pages_ahead=pages_ahead)

    assert ids(sync) >= set(range(150 + earlier, 2000))
    assert sync.errors == []


@pytest.mark.parametrize("pages_ahead", [0, 8])
def test_an_empty_page_without_total_is_asked_for_again_where_an_earlier_one_announced_more(api, read, pages_ahead):
    api.rows["tracks"] = tracks(*range(1000))
    once = iter([True])
    api.fault = lambda request: (
        api.page(request, items=[], total=None, pages=None) if request.page == 2 and next(once, False) else None
    )

    sync = read("tracks", pages_ahead=pages_ahead)

    assert ids(sync) == set(range(1000))


def test_pages_without_rows_or_total_where_rows_were_announced_are_a_transient_error(api, read):
    api.rows["tracks"] = tracks(*range(1000))
    api.fault = lambda request: api.page(request, items=[], total=None) if request.page == 2 else None

    sync = read("tracks")

    assert "expected the 1000 records announced, got pages without records or 'total'" in sync.errors[0].message
    assert sync.statuses("tracks")[-1] == "INCOMPLETE"


@pytest.mark.parametrize("total", [0, 850])
def test_a_total_below_the_rows_that_come_does_not_end_the_stream(api, read, total):
    api.rows["tracks"] = tracks(*range(1000))
    api.fault = lambda request: api.page(request, total=total)

    sync = read("tracks")

    assert ids(sync) == set(range(1000))
    assert sync.errors == []


def test_a_page_need_not_say_how_many_pages_there_are(api, read, reply):
    api.rows["tracks"] = tracks(*range(250))

    def without_pages(request):
        body = dict(api.page(request).body)
        del body["pages"]
        return reply(body)

    api.fault = without_pages

    assert ids(read("tracks")) == set(range(250))


def test_rows_deleted_for_good_before_they_were_read_are_no_error(api, read):
    api.rows["tracks"] = tracks(*range(1000))

    def remove_the_last_fifty(request):
        if request.page == 5:
            api.rows["tracks"] = tracks(*range(950))

    api.fault = remove_the_last_fifty

    sync = read("tracks", pages_ahead=0)

    assert ids(sync) >= set(range(950))
    assert sync.errors == []
    assert any("saw 950 rows of 1000, total is 950 now: reads all pages again" in log for log in sync.logs)


def test_a_total_that_does_not_settle_is_a_transient_error_after_a_bounded_number_of_requests(api, read):
    """Two replicas answer in turn, one of them without the last hundred rows."""
    api.rows["tracks"] = tracks(*range(1000))

    def other_replica(request):
        behind = len(api.requests) % 2 == 0 and request.page < 10
        return api.page(request, total=900, pages=9) if behind else None

    api.fault = other_replica

    sync = read("tracks", pages_ahead=0)

    assert sync.errors[0].failure_type.value == "transient_error"
    assert (
        "expected a 'total' that settles, got 900, smaller again after 30 pages were read again"
        in sync.errors[0].message
    )
    assert len(api.requests) < 100


def test_rows_that_stay_missing_in_three_passes_are_a_transient_error(api, read):
    """In each pass a page of rows is removed before it is read, so that no pass holds as many as were announced."""
    api.rows["tracks"] = tracks(*range(600))

    def remove_the_last_page(request):
        if request.page == 2:
            del api.rows["tracks"][-100:]

    api.fault = remove_the_last_page

    sync = read("tracks", pages_ahead=0)

    assert sync.errors[0].failure_type.value == "transient_error"
    assert (
        "expected 400 rows, the largest 'total' of the API, got 300 in 3 passes (500, 400, 300)"
        in sync.errors[0].message
    )
    assert sync.statuses("tracks")[-1] == "INCOMPLETE"


def test_rows_with_equal_keys_are_never_fatal_though_total_falls_in_every_pass(api, read):
    api.rows["tracks"] = tracks(*range(100)) * 3

    def remove_the_last(request):
        if request.page == 2:
            api.rows["tracks"].pop()

    api.fault = remove_the_last

    sync = read("tracks", pages_ahead=0)

    assert sync.errors == []
    assert ids(sync) == set(range(100))


def test_a_page_that_stays_short_of_the_announced_rows_is_a_typed_error(api, read, clock):
    api.rows["tracks"] = tracks(*range(1000))

    def lose_ten(request):
        return api.page(request, items=api.rows["tracks"][400:490]) if request.page == 5 else None

    api.fault = lose_ten

    sync = read("tracks", pages_ahead=0)

    assert re.search(r"page=5&size=100: expected 100 records \(total=1000, size=100\), got 90", sync.errors[0].message)
    assert sync.statuses("tracks")[-1] == "INCOMPLETE"
    assert api.pages("tracks") == [1, 2, 3, 4, 5, 5, 5, 5, 5, 5]


def test_rows_with_equal_keys_are_all_emitted_and_read_once(api, read):
    api.rows["tracks"] = tracks(*range(100), *range(100), *range(50))

    sync = read("tracks")

    assert sync.rows("tracks") == api.rows["tracks"]
    assert sorted(api.pages("tracks")) == [1, 2, 3]


@pytest.mark.parametrize(
    ("nulls", "requests"),
    [
        pytest.param({"total": None, "page": None, "size": None, "pages": None}, 4, id="all_null"),
        pytest.param({"total": None, "pages": None}, 4, id="no_total"),
        pytest.param({"page": None, "size": None, "pages": None}, 3, id="only_total"),
    ],
)
def test_without_a_total_an_empty_page_ends_the_stream(api, read, nulls, requests):
    api.rows["tracks"] = tracks(*range(250))
    api.fault = lambda request: api.page(request, **nulls)

    sync = read("tracks")

    assert sync.rows("tracks") == api.rows["tracks"]
    assert sorted(api.pages("tracks")) == list(range(1, requests + 1))


@pytest.mark.parametrize("total", [None, 1000])
def test_an_api_that_repeats_one_page_is_a_typed_error_not_an_endless_read(api, read, total):
    api.rows["tracks"] = tracks(*range(100))
    api.fault = lambda request: api.page(request, items=api.rows["tracks"], total=total, page=None, pages=None)

    sync = read("tracks", pages_ahead=0)

    assert "the API must honour 'page'" in sync.errors[0].message
    assert len(api.requests) == 3


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101])
def test_a_collection_of_any_size_takes_one_request_a_page(api, read, count):
    api.rows["tracks"] = tracks(*range(count))

    sync = read("tracks")

    assert sync.rows("tracks") == api.rows["tracks"]
    assert len(api.requests) == max(1, -(-count // 100))
    assert sync.statuses("tracks")[-1] == "COMPLETE"


@pytest.mark.parametrize("pages_ahead", [0, 8])
def test_a_page_without_total_does_not_hide_that_rows_were_removed(api, read, pages_ahead):
    """The fall shows on page 7 only: pages 5 and 6, read after the removal, have no `total`."""
    api.rows["tracks"] = tracks(*range(1000))

    def remove_fifty(request):
        if request.page >= 5:  # whichever of those in flight is answered first
            api.rows["tracks"] = tracks(*range(50, 1000))
        return api.page(request, total=None) if request.page in (5, 6) else None

    api.fault = remove_fifty

    sync = read("tracks", pages_ahead=pages_ahead)

    assert ids(sync) >= set(range(50, 1000))
    assert sync.errors == []


def test_pages_in_flight_together_do_not_hide_a_removal_behind_an_addition(api, read):
    """Page 2 was answered before row 0 went, page 4 after it, page 3 once row 1000 had come: 1000, 999, 1000 rows."""
    api.rows["tracks"] = tracks(*range(1, 1001))
    worlds = {1: tracks(*range(1000)), 2: tracks(*range(1000)), 4: tracks(*range(1, 1000))}

    def answer(request):
        rows = worlds.pop(request.page, api.rows["tracks"])
        start = (request.page - 1) * 100
        return api.page(request, items=rows[start : start + 100], total=len(rows), pages=10)

    api.fault = answer

    sync = read("tracks", pages_ahead=3)

    assert ids(sync) >= set(range(1, 1000)), "row 200 began page 3, and ended page 2 once row 0 had gone"
    assert sync.errors == []


def swap_a_row(api):
    """Row 0 goes and row 1000 comes before page 5 is answered: `total` stays 1,000, and row 400 is on page 4."""

    def swap(request):
        if request.page == 5 and api.rows["tracks"][0]["id"] == 0:
            api.rows["tracks"] = tracks(*range(1, 1001))

    return swap


def test_a_row_removed_and_one_added_between_two_requests_hide_each_other_unless_reads_are_verified(api, read):
    api.rows["tracks"] = tracks(*range(1000))
    api.fault = swap_a_row(api)

    sync = read("tracks", pages_ahead=0)

    assert set(range(1, 1001)) - ids(sync) == {400}
    assert sync.errors == [], "the known limit, as the docs say it"


@pytest.mark.parametrize("pages_ahead", [0, 8])
def test_verified_reads_find_the_row_and_emit_no_row_twice(api, read, pages_ahead):
    api.rows["tracks"] = tracks(*range(1000))
    api.fault = swap_a_row(api)

    sync = read("tracks", pages_ahead=pages_ahead, verify_reads=True)

    assert ids(sync) >= set(range(1, 1001))
    assert len(sync.rows("tracks")) == len(ids(sync))
    assert sync.errors == []
    [summary] = sync.summaries()
    assert summary["pages"] == 30, "the first pass differs from the second, the second from none"


def test_verified_reads_of_an_api_that_holds_still_take_two_passes(api, read):
    api.rows["tracks"] = tracks(*range(250), *range(50))

    sync = read("tracks", verify_reads=True)

    assert sorted(api.pages("tracks")) == [1, 1, 2, 2, 3, 3]
    assert sync.rows("tracks") == tracks(*range(250)), "neither the second pass nor a row that came twice is repeated"
    assert sync.errors == []


def test_verified_reads_emit_a_row_again_that_has_changed(api, read):
    api.rows["tracks"] = tracks(*range(200))

    def rename(request):
        if len(api.requests) == 3:
            api.rows["tracks"][7] = {**api.rows["tracks"][7], "name": "renamed"}

    api.fault = rename

    sync = read("tracks", pages_ahead=0, verify_reads=True)

    assert [row["name"] for row in sync.rows("tracks") if row["id"] == 7] == ["track 7", "renamed"]


def test_verified_reads_give_up_after_five_passes_that_all_differ(api, read):
    api.rows["tracks"] = tracks(*range(300))

    def grow(request):
        if request.page == 1:
            api.rows["tracks"] += tracks(len(api.rows["tracks"]))

    api.fault = grow

    sync = read("tracks", pages_ahead=0, verify_reads=True)

    assert sync.errors[0].failure_type.value == "transient_error"
    assert sync.errors[0].message.startswith(
        "tracks: expected two passes with the same keys (verify_reads), got 301, 302, 303, 304, 305 keys, never"
    )
    assert len(api.requests) == 20
    assert sync.statuses("tracks")[-1] == "INCOMPLETE"


def test_a_summary_tells_a_machine_what_the_log_tells_a_person(api, read, reply, clock):
    api.rows["tracks"] = tracks(*range(250), 0)
    broken = [reply("", 503), reply("<html>", 200)]
    api.fault = lambda request: broken.pop() if request.page == 2 and broken else None

    sync = read("tracks", pages_ahead=0)

    [summary] = sync.summaries()
    assert {**summary, "seconds": 0} == {
        "stream": "tracks",
        "complete": True,
        "pages": 3,
        "rows": 251,
        "filtered_out": 0,
        "records": 251,
        "repeated": 1,
        "re_read": 0,
        "retries": 2,
        "seconds": 0,
    }
    text = (
        "tracks: 251 rows in 3 pages (0 of them read again), 0 rows filtered out, 251 records, 1 rows repeated, 2 ret"
    )
    assert any(log.startswith(text) for log in sync.logs)


def test_a_summary_of_a_failed_read_says_so(api, read, reply):
    api.rows["tracks"] = tracks(*range(250))
    api.fault = lambda request: reply("", 401) if request.page == 2 else None

    [summary] = read("tracks", pages_ahead=0).summaries()

    assert (summary["complete"], summary["pages"], summary["rows"]) == (False, 1, 100)
