# Copyright: BBWS
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""When windows and freezes let an environment be changed."""

from __future__ import annotations

import datetime as dt
import zoneinfo

import pytest
from ansible_collections.bbws.platform.plugins.module_utils.gates_policy import read_policy
from ansible_collections.bbws.platform.plugins.module_utils.gates_windows import Calendar, Freeze, Window, moment, overlapping
from hypothesis import given
from hypothesis import strategies as st

SAST = "Africa/Johannesburg"
TUE, THU, SAT, SUN = 1, 3, 5, 6
HOUR, MINUTE = 3600, 60


def at(text: str, timezone: str = SAST) -> float:
    return dt.datetime.fromisoformat(text).replace(tzinfo=zoneinfo.ZoneInfo(timezone)).timestamp()


def window(days, start: str, end: str | None = None, timezone: str = SAST, duration: int | None = None) -> Window:
    return Window(frozenset(days), dt.time.fromisoformat(start), timezone, end and dt.time.fromisoformat(end), duration)


#: PROD's windows as the inventory names them (GATE-14); 13 January 2026 is a Tuesday.
PROD = Calendar((window([TUE], "22:00", "02:00"), window([THU], "22:00", "02:00"), window([SAT], "06:00", "10:00")))


@pytest.mark.req("GATE-14")
@pytest.mark.parametrize(
    ("now", "is_open"),
    [
        ("2026-01-13T21:59:59", False),
        ("2026-01-13T22:00", True),
        ("2026-01-14T01:59", True),
        ("2026-01-14T02:00", False),
        ("2026-01-15T21:59", False),
        ("2026-01-15T23:59", True),
        ("2026-01-16T00:00", True),
        ("2026-01-17T05:59", False),
        ("2026-01-17T06:00", True),
        ("2026-01-17T09:59", True),
        ("2026-01-17T10:00", False),
        ("2026-01-18T22:30", False),
    ],
)
def test_prod_is_open_only_in_its_windows_also_past_midnight(now, is_open):
    assert PROD.is_open(at(now)) is is_open


@pytest.mark.req("GATE-14")
def test_the_windows_are_those_of_the_runbook_in_utc():
    week = at("2026-01-12T00:00")
    spans = [(moment(a)[11:16], moment(b)[11:16]) for a, b in PROD.openings(week, week + 7 * 86400)]
    assert spans == [("20:00", "00:00"), ("20:00", "00:00"), ("04:00", "08:00")]


@pytest.mark.req("GATE-14")
@pytest.mark.parametrize(
    ("now", "minutes", "is_open"),
    [("2026-01-13T22:00", 240, True), ("2026-01-13T22:01", 240, False), ("2026-01-14T01:00", 60, True), ("2026-01-14T01:01", 60, False)],
)
def test_what_is_left_of_the_window_must_hold_the_promotion_and_a_rollback(now, minutes, is_open):
    assert PROD.is_open(at(now), minutes * MINUTE) is is_open


@pytest.mark.parametrize(
    ("now", "reserve", "opens", "ends"),
    [
        ("2026-01-13T21:59", 60, "2026-01-13T22:00", "2026-01-14T02:00"),
        ("2026-01-13T23:00", 60, "2026-01-13T23:00", "2026-01-14T02:00"),
        ("2026-01-14T01:30", 60, "2026-01-15T22:00", "2026-01-16T02:00"),
        ("2026-01-14T02:00", 0, "2026-01-15T22:00", "2026-01-16T02:00"),
        ("2026-01-16T02:00", 60, "2026-01-17T06:00", "2026-01-17T10:00"),
        ("2026-01-17T10:00", 60, "2026-01-20T22:00", "2026-01-21T02:00"),
    ],
)
def test_the_next_opening_is_the_first_with_enough_room(now, reserve, opens, ends):
    assert PROD.next_opening(at(now), reserve * MINUTE) == (at(opens), at(ends))


def test_a_freeze_closes_what_would_be_open_and_shortens_what_it_touches():
    frozen = Calendar(PROD.windows, (Freeze(at("2026-01-13T23:00"), at("2026-01-17T07:00"), "stock-taking"),))
    assert frozen.is_open(at("2026-01-13T22:30"))
    assert not frozen.is_open(at("2026-01-13T22:30"), HOUR)
    assert not frozen.is_open(at("2026-01-13T23:00"))
    assert frozen.frozen(at("2026-01-15T12:00")).reason == "stock-taking"
    assert frozen.next_opening(at("2026-01-13T22:30"), HOUR) == (at("2026-01-17T07:00"), at("2026-01-17T10:00"))


def test_without_windows_only_a_freeze_closes():
    calendar = Calendar((), (Freeze(at("2026-12-15T00:00"), at("2027-01-06T00:00"), "year end"),))
    assert calendar.is_open(at("2026-12-14T23:59"))
    assert not calendar.is_open(at("2026-12-14T23:59"), HOUR)
    assert calendar.next_opening(at("2026-12-20T00:00"), HOUR) == (at("2027-01-06T00:00"), float("inf"))


def test_a_freeze_without_end_leaves_no_opening():
    assert Calendar(PROD.windows, (Freeze(0, at("2100-01-01T00:00"), "sold"),)).next_opening(at("2026-01-13T22:00")) is None


# 29 March 2026: Berlin's clocks go from 02:00 to 03:00. 25 October 2026: from 03:00 back to 02:00.
@pytest.mark.parametrize(
    ("day", "end", "duration", "hours"),
    [
        (dt.date(2026, 3, 28), "04:00", None, 5),
        (dt.date(2026, 3, 28), None, 6 * HOUR, 6),
        (dt.date(2026, 10, 24), "04:00", None, 7),
        (dt.date(2026, 10, 24), None, 6 * HOUR, 6),
        (dt.date(2026, 10, 24), "02:30", None, 4.5),
        (dt.date(2026, 1, 10), "04:00", None, 6),
    ],
)
def test_an_end_is_a_time_on_the_clocks_and_a_duration_is_elapsed_time(day, end, duration, hours):
    opens, ends = window([SAT], "22:00", end, "Europe/Berlin", duration).on(day)
    assert (ends - opens) / HOUR == hours


def test_a_window_whose_times_the_clocks_leave_out_does_not_open_that_day():
    gap = Calendar((window([SUN], "02:15", "03:15", "Europe/Berlin"),))
    assert gap.openings(at("2026-03-29T00:00", "Europe/Berlin"), at("2026-03-30T00:00", "Europe/Berlin")) == []
    assert gap.is_open(at("2026-04-05T02:15", "Europe/Berlin"))


def test_windows_that_meet_are_one_opening():
    calendar = Calendar((window([TUE], "22:00", "00:00"), window([2], "00:00", "02:00")))
    assert calendar.is_open(at("2026-01-13T22:00"), 4 * HOUR)


@pytest.mark.parametrize(
    ("windows", "overlap"),
    [
        ([window([TUE], "22:00", "02:00"), window([2], "01:59", "03:00")], True),
        ([window([TUE], "22:00", "02:00"), window([2], "02:00", "03:00")], False),
        ([window([SUN], "22:00", "02:00"), window([0], "00:00", "01:00")], True),
        ([window([TUE, 2], "22:00", duration=86400)], False),
        ([window([TUE], "10:00", "11:00"), window([TUE], "10:30", "10:45", "UTC")], False),
    ],
)
def test_overlaps_are_found_also_over_midnight_and_the_end_of_the_week(windows, overlap):
    assert (overlapping(windows) is not None) is overlap


def test_a_moment_is_told_in_the_zone_and_in_utc():
    assert moment(at("2026-01-13T22:00"), SAST) == "Tue 2026-01-13 22:00 Africa/Johannesburg (20:00 UTC)"


# --- whatever the windows are ------------------------------------------------------------------------------------------------

ZONES = ("Africa/Johannesburg", "Europe/Berlin", "America/New_York", "Pacific/Apia", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC")
times = st.times(max_value=dt.time(23, 59)).map(lambda time: time.replace(second=0, microsecond=0))
windows = st.builds(
    lambda days, start, zone, end, duration: Window(days, start, zone, None if duration else end, duration),
    st.frozensets(st.integers(0, 6), min_size=1),
    times,
    st.sampled_from(ZONES),
    times,
    st.none() | st.integers(1, 1440).map(lambda minutes: minutes * MINUTE),
)
moments = st.integers(int(at("2026-01-01T00:00")), int(at("2027-12-31T00:00")))
freezes = st.builds(lambda since, length: Freeze(since, since + length, "frozen"), moments, st.integers(1, 60 * 86400))
calendars = st.builds(Calendar, st.lists(windows, min_size=1, max_size=4).map(tuple), st.lists(freezes, max_size=3).map(tuple))
reserves = st.integers(0, 86400)


@pytest.mark.req("GATE-14")
@given(calendars, moments, reserves)
def test_a_next_opening_is_open_and_stays_so_for_the_reserve(calendar, now, reserve):
    found = calendar.next_opening(now, reserve)
    if found:
        start, end = found
        assert start >= now and end - start >= reserve and calendar.is_open(start, reserve)
        if end - start > reserve:
            assert calendar.is_open(end - reserve - 1, reserve)
        assert not calendar.is_open(start - 1, reserve) or start == now


@given(calendars, moments, reserves)
def test_it_is_open_exactly_when_the_next_opening_is_now(calendar, now, reserve):
    found = calendar.next_opening(now, reserve)
    assert calendar.is_open(now, reserve) == (found is not None and found[0] == now)


@given(calendars, moments, reserves)
def test_an_open_window_with_reserve_never_ends_before_it_is_used_up(calendar, now, reserve):
    if calendar.is_open(now, reserve):
        for later in (now, now + reserve // 2, now + max(reserve - 1, 0)):
            assert calendar.is_open(later) and calendar.frozen(later) is None


@given(calendars, moments)
def test_openings_are_in_order_and_apart(calendar, now):
    spans = calendar.openings(now, now + 21 * 86400)
    assert all(start < end for start, end in spans)
    assert all(first[1] < second[0] for first, second in zip(spans, spans[1:], strict=False))


@given(st.lists(windows, min_size=1, max_size=4), moments)
def test_it_is_open_exactly_where_a_single_window_is(found, now):
    assert Calendar(tuple(found)).is_open(now) == any(Calendar((one,)).is_open(now) for one in found)


def test_the_calendar_of_a_policy_is_the_one_it_names():
    raw = {
        "environment": "prod",
        "deploy_mode": "strict_manual",
        "windows": [
            {"day": "tuesday", "start": "22:00", "end": "02:00", "timezone": SAST},
            {"day": "thursday", "start": "22:00", "end": "02:00", "timezone": SAST},
            {"day": "saturday", "start": "06:00", "end": "10:00", "timezone": SAST},
        ],
        "window_reserve": {"expected": "40m", "rollback": "20m"},
        "gates": [{"id": "alarms", "kind": "alarms", "prefixes": ["bbws-"]}],
    }
    policy = read_policy(raw)
    assert policy.calendar == PROD
    assert policy.reserve == HOUR
    short = {**raw, "windows": [{"days": ["tue", "Thu"], "start": "22:00", "duration": "4h", "timezone": SAST}, raw["windows"][2]]}
    now = at("2026-01-12T00:00")
    assert read_policy(short).calendar.openings(now, now + 7 * 86400) == PROD.openings(now, now + 7 * 86400)
