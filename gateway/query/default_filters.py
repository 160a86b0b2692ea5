"""The filters that a data set adds to reports which do not filter on a dimension themselves."""

from dataclasses import replace

from gateway.catalog.model import Dataset, Dimension
from gateway.query.filters import And, Filter, dimension_names
from gateway.query.leaf_filters import In, Selector
from gateway.query.report import Report


def with_default_filters(report: Report, dataset: Dataset) -> Report:
    """Return the report with the default filter of each dimension on which no filter of the report reads."""
    candidates = tuple(each for each in dataset.dimensions if each.default)
    if not candidates:
        return report
    filtered = dimension_names(report.filter).union(*(dimension_names(metric.filter) for metric in report.metrics))
    defaults = tuple(each for each in candidates if each.name not in filtered)
    added: tuple[Filter, ...] = tuple(map(_filter, defaults))
    fields = added if report.filter is None else (*added, report.filter)
    if not defaults:
        return report
    return replace(report, filter=fields[0] if len(fields) == 1 else And(fields), defaults=defaults)


def default_warning(dimension: Dimension) -> str:
    """Return the sentence that tells the caller about a default filter."""
    shown = " or ".join(dimension.default)
    return f"There is no filter on {dimension.name}: only rows with {shown} are included, the default of the data set."


def _filter(dimension: Dimension) -> Filter:
    if len(dimension.default) == 1:
        return Selector(dimension, dimension.default[0])
    return In(dimension, dimension.default)
