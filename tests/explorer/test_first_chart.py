"""From a token to the right number: the documented example, step by step, from an empty page."""

import time

from playwright.sync_api import expect

from demo import EXAMPLE
from tests.explorer.page import Explorer
from tests.serving import D, P

SECONDS = 60


def test_the_documented_example_takes_less_than_a_minute(explorer: Explorer) -> None:
    [[_, expected]] = explorer.gateway.post(EXAMPLE).data
    began = time.monotonic()
    page = explorer.page

    explorer.sign_in()
    page.get_by_label("Time zone").select_option("Europe/Helsinki")
    explorer.set_dates("2019-01-01", "2019-01-01")
    page.get_by_label("Time steps").select_option("all")
    explorer.pick("Add a number", "Unique visitor_ids")
    explorer.remove("Rows")
    # The data set's advice has already set the filter on scope.
    expect(explorer.filter("scope").get_by_label("org")).to_be_checked()
    for dimension in ("chat_type", "chat_initiator"):
        explorer.pick("Add a filter", dimension)
        explorer.filter(dimension).get_by_label("visitor").check()
    explorer.run()

    assert time.monotonic() - began < SECONDS
    expect(page.locator(".tile")).to_have_text(f"Unique visitor_ids{expected:g}")


def test_the_page_opens_with_a_chart_of_the_latest_days_that_have_data(explorer: Explorer) -> None:
    explorer.sign_in()
    expect(explorer.page.locator("#charts canvas")).to_be_visible()
    expect(explorer.page.get_by_label("Period")).to_have_value("data_30_days")
    assert len(explorer.rows()) > 10


def test_each_number_and_group_is_described(explorer: Explorer) -> None:
    explorer.sign_in()
    page = explorer.page
    page.get_by_role("button", name="Add a number").click()
    page.get_by_role("searchbox").fill("Sum of sales")
    expect(page.locator(".choices li")).to_contain_text("Sales in the chat session")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Add a group").click()
    page.get_by_role("searchbox").fill("whom the row describes")
    expect(page.locator(".choices li strong")).to_have_text("scope")


def test_without_the_advised_filter_the_page_warns_before_the_report_runs(explorer: Explorer) -> None:
    explorer.sign_in()
    explorer.remove("scope")
    expect(explorer.page.locator(".advice")).to_contain_text("Most reports filter on scope")
    expect(explorer.page.locator(".run .warning")).to_contain_text("There is no filter on scope")
    explorer.page.locator(".advice").get_by_role("button", name="org").click()
    expect(explorer.filter("scope").get_by_label("org")).to_be_checked()
    expect(explorer.page.locator(".advice")).to_have_count(0)


def test_a_partners_data_can_be_chosen(explorer: Explorer) -> None:
    explorer.sign_in(organization=P, caller=D)
    assert explorer.rows()
