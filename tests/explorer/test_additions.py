"""What the page makes of comparisons, time parts, the largest groups and relative dates."""

from datetime import date, timedelta
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import expect

from tests.explorer.page import Explorer
from tests.explorer.reports import BY_TYPE, ORG, link, report_of
from tests.serving import D


def test_a_comparison_shows_the_number_before_and_the_change(explorer: Explorer) -> None:
    report = {**BY_TYPE, "granularity": "all", "group_by": [], "compare": {"to": "previous_period"}}
    [[_, _, previous, change, *_]] = explorer.gateway.post(report).data
    explorer.sign_in(fragment=link({**BY_TYPE, "granularity": "all", "group_by": []}))
    page = explorer.page
    page.get_by_label("Compare with").select_option("previous_period")
    explorer.run()
    tile = page.locator(".tile").first
    expect(tile).to_contain_text(f"before: {previous:,}")
    if change is not None:
        expect(tile.locator(".change")).to_contain_text("%")
    page.get_by_label("Time steps").select_option("day")
    explorer.run()
    expect(page.locator("#charts canvas")).to_have_count(2)


def test_only_the_change_of_a_comparison_is_shown_in_percent(explorer: Explorer) -> None:
    named = {"aggregations": [{"type": "count", "name": "net_change"}]}
    february = {"start": "2019-02-01", "end": "2019-03-01"}
    report = {**BY_TYPE, **named, "interval": february, "group_by": [], "totals": True}
    total = explorer.gateway.post(report).json["totals"][1]
    explorer.sign_in(fragment=link(report))
    page = explorer.page
    cells = page.locator(".rows td.metric")
    assert not any("%" in text for text in cells.all_inner_texts())
    expect(page.locator("tfoot td.metric")).to_have_text(f"{total:,}")
    page.get_by_label("Compare with").select_option("previous_period")
    explorer.run()
    shown = page.locator("tfoot td.metric").all_inner_texts()
    assert [text.endswith("%") for text in shown] == [False, False, True]
    first = page.locator(".rows tbody tr").first.locator("td.metric").all_inner_texts()
    assert [text.endswith("%") for text in first] == [False, False, True]


def test_hours_and_weekdays_are_a_heat_map(explorer: Explorer) -> None:
    report = {**BY_TYPE, "granularity": "all", "group_by": ["day_of_week", "hour_of_day"]}
    counts = {(day, hour): count for _, day, hour, count, _ in explorer.gateway.post(report).data}
    explorer.sign_in(fragment=link(report))
    rows = explorer.page.locator(".heat").first.locator("tbody tr")
    assert rows.count() == 7
    for (day, hour), count in list(counts.items())[:20]:
        expect(rows.nth(day - 1).locator("td").nth(hour)).to_have_text(str(count))


def test_the_largest_groups_are_shown_with_the_rest_as_other(explorer: Explorer) -> None:
    report = {**BY_TYPE, "top": {"groups": 2, "by": "count", "other": True}}
    expected = explorer.gateway.post(report).json
    explorer.sign_in(fragment=link(BY_TYPE))
    page = explorer.page
    page.get_by_label("Only the largest groups").check()
    page.get_by_label("How many").fill("2")
    page.get_by_label("Sum up the rest").check()
    explorer.run()
    assert report_of(page)["top"] == report["top"]
    expect(page.locator(".legend").first.locator("button")).to_have_count(3)
    expect(
        page.get_by_text(f"{len(expected['data'])} rows and {len(expected['other'])} of other groups")
    ).to_be_visible()
    shown = explorer.rows()
    assert [row[1] for row in shown] == [row[1] for row in expected["data"]] + ["other groups"] * len(expected["other"])
    assert [row[2] for row in shown] == [f"{row[2]:,}" for row in expected["data"] + expected["other"]]
    explorer.page.locator(".rows th").get_by_role("button", name="Rows").click()
    counts = [int(row[2].replace(",", "")) for row in explorer.rows()]
    assert counts == sorted(counts, reverse=True)


def test_without_time_steps_the_rest_is_a_bar_and_a_row(explorer: Explorer) -> None:
    report = {**BY_TYPE, "granularity": "all", "top": {"groups": 2, "by": "count", "other": True}}
    [other] = explorer.gateway.post(report).json["other"]
    explorer.sign_in(fragment=link(report))
    page = explorer.page
    rest = page.locator(".bars").first.locator("li").last
    expect(rest.locator(".name")).to_have_text("other groups")
    expect(rest.locator(".value")).to_have_text(f"{other[2]:,}")
    # It is not a group that can be opened, and no value to filter on.
    expect(rest.get_by_role("button")).to_have_count(0)
    row = page.locator(".rows tbody tr").last
    expect(row.locator("td").nth(1)).to_have_text("other groups")
    expect(row.locator("td").nth(2)).to_have_text(f"{other[2]:,}")
    expect(row.get_by_role("button")).to_have_count(0)
    assert explorer.violations() == []


def test_if_no_group_is_left_the_rest_is_shown(explorer: Explorer) -> None:
    none = [{"type": "greaterThan", "metric": "count", "value": 1e9}]
    report = {**BY_TYPE, "granularity": "all", "top": {"groups": 2, "by": "count", "other": True}, "having": none}
    answer = explorer.gateway.post(report).json
    assert answer["data"] == []
    explorer.sign_in(fragment=link(report))
    assert [row[1] for row in explorer.rows()] == ["other groups"]


def test_a_group_called_other_groups_is_not_the_rest(explorer: Explorer) -> None:
    report = {**BY_TYPE, "granularity": "day", "aggregations": [{"type": "count"}]}
    starts = [f"2019-01-0{day}T00:00:00.000+02:00" for day in range(1, 8)]
    groups = {"other groups": 10, "no value": 4, None: 2}
    rows = [[start, group, count + day] for day, start in enumerate(starts) for group, count in groups.items()]
    fields = [{"name": name, "type": "dimension"} for name in ("start_time", "chat_type")]
    fields.append({"name": "count", "type": "metric"})
    other = [[start, None, 30] for start in starts]
    explorer.answer_reports({"fields": fields, "data": rows, "other": other})
    explorer.sign_in(fragment=link(report))
    page = explorer.page
    legend = page.locator(".legend button")
    expect(legend).to_have_text(["other groups", "no value", "no value", "other groups"])
    # A name that is no value looks different.
    assert [each.get_attribute("class") for each in page.locator(".legend bdi").all()] == [None, None, "muted", "muted"]
    assert len({each.get_attribute("style") for each in page.locator(".legend i").all()}) == len(groups) + 1
    box = page.locator("#charts .u-over").bounding_box()
    assert box is not None

    def shown() -> list[str]:
        page.mouse.move(box["x"] + 2, box["y"] + 20)
        page.mouse.move(box["x"] + 4, box["y"] + 20)
        return page.locator(".tip div").all_inner_texts()

    assert [each.split() for each in shown()] == [
        ["other", "groups", "10"], ["no", "value", "4"], ["no", "value", "2"], ["other", "groups", "30"],
    ]  # fmt: skip
    legend.last.click()
    legend.nth(1).click()
    expect(legend.first).to_have_attribute("aria-pressed", "true")
    assert [each.split()[-1] for each in shown()] == ["10", "2"]


def test_relative_dates_stay_relative_in_a_link(explorer: Explorer) -> None:
    explorer.sign_in()
    explorer.page.get_by_role("combobox", name="Period", exact=True).select_option("last_30_days")
    explorer.run()
    assert report_of(explorer.page)["interval"] == {"last": "P30D", "time_zone": "Europe/Helsinki"}


def test_the_api_reference_sends_the_documented_example(explorer: Explorer) -> None:
    page = explorer.page
    page.goto(f"{explorer.url}/docs")
    page.get_by_role("button", name="Authorize").click(timeout=30_000)
    page.locator("#api_key_value").first.fill(f"Token {explorer.gateway.tokens[D]}")
    page.get_by_role("button", name="Apply credentials").first.click()
    page.get_by_role("button", name="Close").first.click()
    page.locator("#operations-chat_sessions-report_chat_sessions .opblock-summary-control").click()
    page.get_by_placeholder("organization_id").fill(D)
    with page.expect_response(lambda response: response.request.method == "POST") as answered:
        page.get_by_role("button", name="Execute").click()
    assert answered.value.status == 200
    [[start, _]] = answered.value.json()["data"]
    assert start == "2019-01-01T00:00:00.000+02:00"


def test_a_filter_suggests_the_values_of_the_data(explorer: Explorer) -> None:
    explorer.sign_in(fragment=link(BY_TYPE))
    page = explorer.page
    explorer.pick("Add a filter", "user_id")
    row = explorer.filter("user_id")
    field = row.get_by_label("user_id: Add a value")
    options = row.locator("datalist option")
    with page.expect_response(lambda response: "/dimensions/user_id/values" in response.url) as suggested:
        field.focus()
    values = {value: count for value, count in suggested.value.json()["values"] if value is not None}
    expect(options).to_have_count(len(values))
    assert {option.get_attribute("value"): option.inner_text() for option in options.all()} == {
        value: str(count) for value, count in values.items()
    }
    wanted = next(iter(values))
    with page.expect_response(lambda response: f"search={wanted[:4]}" in response.url) as suggested:
        field.press_sequentially(wanted[:4])
    found = [value for value, _ in suggested.value.json()["values"]]
    assert wanted in found
    expect(options).to_have_count(len(found))
    assert all(wanted[:4] in str(option.get_attribute("value")) for option in options.all())
    # As Chromium does when a person clicks an option.
    field.evaluate(
        "(field, value) => { field.value = value; field.dispatchEvent(new Event('input', {bubbles: true})); }", wanted
    )
    expect(row.locator(".chip")).to_contain_text(wanted)
    explorer.run()
    assert {"type": "selector", "dimension": "user_id", "value": wanted} in report_of(page)["filters"]


def test_a_number_is_computed_from_others(explorer: Explorer) -> None:
    explorer.sign_in(fragment=link(BY_TYPE))
    page = explorer.page
    page.get_by_role("button", name="Compute a number").click()
    form = page.get_by_role("group", name="Compute a number")
    form.get_by_role("combobox", name="Number", exact=True).select_option("sales_sum")
    form.get_by_label("Other number").fill("count")
    assert explorer.violations() == []
    form.get_by_role("button", name="Add", exact=True).click()
    explorer.run()
    report = report_of(page)
    assert report["post_aggregations"] == [
        {"type": "arithmetic", "name": "sales_sum_per_count", "fn": "/", "fields": ["sales_sum", "count"]}
    ]
    expect(page.locator("#charts canvas")).to_have_count(3)
    page.get_by_role("button", name="Compute a number").click()
    form.get_by_role("combobox", name="Number", exact=True).select_option("sales_sum_per_count")
    form.get_by_role("combobox", name="Operation").select_option("multiplied by")
    form.get_by_label("Other number").fill("100")
    form.get_by_label("Name of the column").fill("cents")
    form.get_by_role("button", name="Add", exact=True).click()
    explorer.run()
    assert report_of(page)["post_aggregations"][1]["fields"] == ["sales_sum_per_count", 100]
    expected = explorer.gateway.post(report_of(page)).data
    assert all(row[-1] is None or abs(row[-1] - 100 * row[-2]) < 1e-6 for row in expected)
    assert len(explorer.rows()) == len(expected)
    explorer.remove("cents")
    explorer.remove("sales_sum_per_count")
    explorer.run()
    assert "post_aggregations" not in report_of(page)


def test_the_page_says_until_when_the_numbers_are_final(explorer: Explorer) -> None:
    explorer.sign_in(fragment=link(BY_TYPE))
    page = explorer.page
    expect(page.get_by_text("The numbers are final until")).to_have_count(0)
    page.get_by_label("Show until when the numbers are final").check()
    explorer.run()
    assert report_of(page)["freshness"] is True
    expect(page.get_by_text("The numbers are final until 1 Feb 2019")).to_be_visible()


def test_partial_and_missing_buckets_are_marked(explorer: Explorer) -> None:
    until_now = {"interval": {"current": "year"}, "granularity": "month", "filters": ORG}
    explorer.sign_in(fragment=link({**until_now, "aggregations": [{"type": "avg", "fields": ["sales"]}]}))
    page = explorer.page
    # The interval ends with the current minute, so the last month is not over. There are no rows, so no average.
    expect(page.get_by_text("Not complete yet")).to_be_visible()
    plot = page.locator("#charts .u-over").first
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] - 3, box["y"] + box["height"] / 2)
    tip = page.locator(".tip").first
    expect(tip).to_contain_text("Not complete yet")
    expect(tip).to_contain_text("No data")


def test_values_are_suggested_for_the_dates_of_the_form(explorer: Explorer) -> None:
    explorer.sign_in(fragment=link(BY_TYPE))
    page = explorer.page
    explorer.pick("Add a filter", "user_id")
    field = explorer.filter("user_id").get_by_label("user_id: Add a value")
    period = page.get_by_role("combobox", name="Period", exact=True)

    def asked(search: str) -> dict[str, str]:
        with page.expect_response(lambda response: f"search={search}" in response.url) as suggested:
            field.fill(search)
        assert suggested.value.status == 200
        field.fill("")
        query = parse_qs(urlsplit(suggested.value.url).query)
        return {name: values[0] for name, values in query.items()}

    field.fill("ann")
    field.press("Enter")
    # Before a relative interval has been run, the page itself finds its dates.
    period.select_option("last_7_days")
    before = asked("a")
    assert before["time_zone"] == "Europe/Helsinki"
    assert date.fromisoformat(before["end"][:10]) - date.fromisoformat(before["start"][:10]) == timedelta(days=7)
    # Afterwards they are those of the answer.
    with page.expect_response(lambda response: explorer.is_report(response.request)) as answered:
        page.get_by_role("button", name="Run", exact=True).click()
    explorer.wait()
    after = asked("b")
    assert {"start": after["start"], "end": after["end"]} == answered.value.json()["interval"]
    # Another period has dates of its own, at once.
    period.select_option("data_30_days")
    explorer.set_dates("2019-01-05", "2019-01-09")
    fixed = asked("c")
    assert (fixed["start"], fixed["end"]) == ("2019-01-05", "2019-01-10")
