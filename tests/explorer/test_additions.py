"""What the page makes of comparisons, time parts, the largest groups and relative dates."""

from playwright.sync_api import expect

from tests.explorer.page import Explorer
from tests.explorer.reports import BY_TYPE, link, report_of
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
    assert len(explorer.rows()) == len(expected["data"])


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
