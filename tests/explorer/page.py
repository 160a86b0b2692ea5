"""The explorer as a person uses it: what is read, clicked and typed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Download, Locator, Page, Request, Route, expect

from gateway.web.pages import FOLDER
from tests.conftest import ROOT
from tests.serving import D, Gateway

AXE: Final = ROOT / "explorer" / "node_modules" / "axe-core" / "axe.min.js"
API: Final = "/api/reporting/v1/"
TOKEN_FIELD: Final = "API token"


@dataclass(slots=True)
class Explorer:
    """One tab that shows the explorer of a gateway. `faults` lists what a browser reports and no page may cause."""

    page: Page
    gateway: Gateway
    url: str
    faults: list[str] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", lambda message: self._note(message.text))
        self.page.on("request", lambda request: self.requests.append(request))  # noqa: PLW0108 - it sets attributes on the function

    def _note(self, text: str) -> None:
        if "Content Security Policy" in text or "Refused to" in text:
            self.faults.append(text)

    def open(self, fragment: str = "") -> None:
        self.page.goto(f"{self.url}/explore{fragment}")

    def sign_in(self, organization: str = D, *, caller: str = D, fragment: str = "") -> None:
        """Open the page, sign in as `caller` and choose the organization; the first result is shown."""
        self.open(fragment)
        self.page.get_by_label(TOKEN_FIELD).fill(self.gateway.tokens[caller])
        self.page.get_by_role("button", name="Sign in").click()
        self.wait()
        if organization != caller and not fragment:
            with self.page.expect_response(lambda response: self.is_report(response.request)):
                self.page.get_by_role("combobox", name="Organization", exact=True).select_option(organization)
            self.wait()

    def wait(self) -> None:
        """Wait until no report runs and its result is shown."""
        expect(self.page.locator("#result")).to_have_attribute("aria-busy", "false", timeout=60_000)
        expect(self.page.get_by_text("Details of the request")).to_be_visible(timeout=60_000)

    def run(self) -> None:
        """Run the report as it stands in the form."""
        with self.page.expect_response(lambda response: self.is_report(response.request)):
            self.page.get_by_role("button", name="Run", exact=True).click()
        self.wait()

    def is_report(self, request: Request) -> bool:
        return request.method == "POST" and API in request.url and "explain" not in request.url

    def answer_reports(self, answer: Mapping[str, Any]) -> None:
        """Answer each report with this, and not from the gateway."""

        def respond(route: Route) -> None:
            if self.is_report(route.request):
                route.fulfill(json=answer)
            else:
                route.fallback()

        self.page.route("**/*", respond)

    def set_dates(self, first: str, last: str) -> None:
        self.page.get_by_label("From", exact=True).fill(first)
        self.page.get_by_label("To (inclusive)").fill(last)

    def pick(self, button: str, choice: str) -> None:
        """Choose from the list that a button such as "Add a filter" opens."""
        self.page.get_by_role("button", name=button).click()
        self.page.get_by_role("searchbox").fill(choice)
        self.page.locator(".choices li button").filter(has=self.page.get_by_text(choice, exact=True)).click()

    def remove(self, chip: str) -> None:
        self.page.get_by_role("button", name=f"Remove {chip}", exact=True).click()

    def filter(self, dimension: str) -> Locator:
        """The row of the form with the filter on a dimension."""
        return self.page.locator(".filter").filter(has=self.page.get_by_text(dimension, exact=True))

    def show(self, kind: str) -> None:
        self.page.get_by_role("group", name="Show as").get_by_role("button", name=kind, exact=True).click()

    def set_report(self, report: str) -> None:
        """Put a report as JSON into the form."""
        summary = self.page.get_by_text("The report as JSON", exact=True)
        text = self.page.get_by_role("textbox", name="The report as JSON")
        if not text.is_visible():
            summary.click()
        text.fill(report)
        self.page.get_by_role("button", name="Apply").click()

    def rows(self) -> list[list[str]]:
        """The visible rows of the table."""
        table = self.page.locator(".rows tbody tr:not([aria-hidden])")
        return [[cell.strip() for cell in row.locator("td").all_inner_texts()] for row in table.all()]

    def download(self, kind: str) -> Download:
        with self.page.expect_download() as waiting:
            self.page.get_by_label("Download").select_option(label=kind)
        return waiting.value

    def violations(self) -> list[str]:
        """What axe finds wrong with the accessibility of the page as it is shown."""
        self.page.evaluate(AXE.read_text(encoding="utf-8"))
        found: Iterable[Mapping[str, Any]] = self.page.evaluate("async () => (await axe.run()).violations")
        return [f"{each['id']}: {[node['html'] for node in each['nodes']]}" for each in found]

    def overflows(self) -> bool:
        """Whether the page is wider than its window."""
        wide: bool = self.page.evaluate(
            "() => document.documentElement.scrollWidth > document.documentElement.clientWidth"
        )
        return wide


def is_built(folder: Path = FOLDER) -> bool:
    return (folder / "explore.html").is_file() and AXE.is_file()
