"""Every text of the page is used, and each error that it can cause has one."""

import re
from typing import Any

from gateway.errors import GatewayError
from tests.explorer.modules import EXPLORER, Modules

SOURCE = EXPLORER / "src"
LOOKED_UP = {"timeParts", "granularities", "presets", "operators", "charts", "compare", "failures", "actions"}
"""Groups of texts, of which some or all are looked up by a value."""
NEVER_CAUSED = {"invalid_json", "not_acceptable", "request_timeout", "unsupported_media_type", "data_changed"}
"""Errors of requests that the page does not send."""


def test_every_text_is_used(modules: Modules) -> None:
    code = "\n".join(file.read_text(encoding="utf-8") for file in SOURCE.glob("*.ts*") if file.name != "texts.ts")
    groups = modules.evaluate("Object.entries(texts).map(([name, each]) => [name, Object.keys(each)])")
    unused = [
        f"{group}.{name}"
        for group, names in groups
        if group not in LOOKED_UP
        for name in names
        if not re.search(rf"\btexts\.{group}\.{name}\b", code)
    ]
    assert unused == []


def test_each_error_of_the_gateway_has_a_text(modules: Modules) -> None:
    def codes(kind: Any) -> set[str]:
        return {kind.code} if hasattr(kind, "code") else set().union(*map(codes, kind.__subclasses__()))

    known = set(modules.evaluate("Object.keys(texts.failures)"))
    assert codes(GatewayError) - NEVER_CAUSED <= known
    own = {"offline", "no_response", "incomplete_response", "unusable_response", "page_error"}
    assert known == (codes(GatewayError) - NEVER_CAUSED) | own
