import pytest

from gateway.catalog import DATASETS
from gateway.query.compile import DruidQuery
from gateway.tenancy import TenancyViolated, check_rows
from tests.tenants import DOCUMENTED, PARTNER, tenant_of

DATASET = DATASETS["chat_sessions"]


def query_by(*dimensions: str, metrics: tuple[str, ...] = ()) -> DruidQuery:
    native = {"dimensions": [{"type": "default", "dimension": name, "outputName": name} for name in dimensions]}
    return DruidQuery(native, tenant_of(), DATASET, (*dimensions, *metrics))


@pytest.mark.parametrize(
    "row", [["org", PARTNER, 1], ["org", None, 1], ["org", [DOCUMENTED], 1], ["org"], [], {}, None]
)
def test_a_row_that_is_not_shown_to_be_the_tenants_is_refused(row: object) -> None:
    query = query_by("scope", "owner_organization_id", metrics=("count",))
    check_rows(query, [["org", DOCUMENTED, 1]])
    with pytest.raises(TenancyViolated):
        check_rows(query, [["org", DOCUMENTED, 1], row])


def test_a_metric_may_be_called_like_the_owners_column() -> None:
    check_rows(query_by("scope", metrics=("owner_organization_id",)), [["org", 5]])
