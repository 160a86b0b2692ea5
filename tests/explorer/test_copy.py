"""The programs that the page copies, beyond those that tests of the page run."""

import pytest

from tests.explorer.modules import Modules

SENT = {
    "curl": '-H "Authorization: {} $GATEWAY_TOKEN"',
    "python": 'headers={{"Authorization": "{} " + os.environ["GATEWAY_TOKEN"]}}',
    "javascript": "headers: {{ Authorization: `{} ${{token}}`",
    "powerQuery": 'Headers = [Authorization = "{} " & Token',
}


@pytest.mark.parametrize(("token", "scheme"), [("gwt_abc", "Token"), ("eyJhbGciOiJSUzI1NiJ9.e30.c2ln", "Bearer")])
@pytest.mark.parametrize("language", SENT)
def test_a_program_sends_its_token_as_the_page_does(modules: Modules, language: str, token: str, scheme: str) -> None:
    assert modules.evaluate("authorization(token)", token=token) == f"{scheme} {token}"
    report = {"interval": {"last": "P7D"}, "granularity": "all", "group_by": [], "aggregations": [], "filters": []}
    program = modules.evaluate(
        'asCode(language, "o", "d", report, schemeOf(token))', language=language, report=report, token=token
    )
    assert SENT[language].format(scheme) in program
    assert token not in program
