// The language's reports, as the page edits them.

export interface Interval {
  start?: string;
  end?: string;
  last?: string;
  include_current?: boolean;
  current?: string;
  time_zone?: string;
}

export interface Filter {
  type: string;
  dimension?: string;
  value?: unknown;
  values?: unknown[];
  lower?: unknown;
  upper?: unknown;
  lowerStrict?: boolean;
  upperStrict?: boolean;
  pattern?: string;
  field?: Filter;
  fields?: Filter[];
}

export interface Aggregation {
  type: string;
  fields?: string[];
  name?: string;
  filter?: Filter;
  fraction?: number;
}

export interface Report {
  interval: Interval;
  granularity: string;
  group_by: string[];
  aggregations: Aggregation[];
  filters: Filter[];
  [key: string]: unknown;
}

/** Bring any valid report into the form that the page edits: one aggregation a column, a list of filters. */
export function normalize(given: Record<string, unknown>): Report {
  const filters = given["filters"] as Filter | Filter[] | undefined;
  const aggregations = (given["aggregations"] ?? []) as Aggregation[];
  return {
    ...given,
    interval: (given["interval"] ?? {}) as Interval,
    granularity: (given["granularity"] ?? "all") as string,
    group_by: (given["group_by"] ?? []) as string[],
    aggregations: aggregations.flatMap(oneColumnEach),
    filters: flatten(Array.isArray(filters) ? filters : filters && Object.keys(filters).length ? [filters] : []),
  };
}

/** The report as it is sent: without empty parts. */
export function toBody(report: Report): Record<string, unknown> {
  const body: Record<string, unknown> = { ...report };
  if (!report.group_by.length) delete body["group_by"];
  if (!report.filters.length) delete body["filters"];
  if (report.granularity === "all") delete body["granularity"];
  if (!(report["post_aggregations"] as unknown[] | undefined)?.length) delete body["post_aggregations"];
  return body;
}

function oneColumnEach(aggregation: Aggregation): Aggregation[] {
  const fields = aggregation.fields;
  if (aggregation.type === "count") {
    const { fields: _, ...rest } = aggregation;
    return [rest];
  }
  return fields && fields.length > 1 ? fields.map((field) => ({ ...aggregation, fields: [field] })) : [aggregation];
}

function flatten(filters: Filter[]): Filter[] {
  return filters.flatMap((filter) => (filter.type === "and" && filter.fields ? flatten(filter.fields) : [filter]));
}

/** The name of the column that an aggregation yields. */
export function columnOf(aggregation: Aggregation): string {
  if (aggregation.name) return aggregation.name;
  const field = aggregation.fields?.[0];
  if (!field) return aggregation.type;
  if (aggregation.type === "quantile") {
    return `${field}_p${String(+((aggregation.fraction ?? 0) * 100).toFixed(6)).replace(".", "_")}`;
  }
  return `${field}_${aggregation.type.replace(/[A-Z]/g, (letter) => "_" + letter.toLowerCase())}`;
}

export const equal = (one: unknown, other: unknown): boolean => JSON.stringify(one) === JSON.stringify(other);

// Conditions: the filters that the page shows as a dimension, an operator and values. Others are shown as JSON.

export type Operator = "is" | "is_not" | "like" | "not_like" | "from" | "empty" | "not_empty";

export interface Condition {
  dimension: string;
  operator: Operator;
  values: unknown[];
}

export function toFilter({ dimension, operator, values }: Condition): Filter {
  const not = (field: Filter): Filter => ({ type: "not", field });
  const isOneOf = (): Filter =>
    values.length === 1
      ? { type: "selector", dimension, value: values[0] }
      : { type: "in", dimension, values };
  const isEmpty: Filter = { type: "selector", dimension, value: null };
  switch (operator) {
    case "is":
      return isOneOf();
    case "is_not":
      return not(isOneOf());
    case "like":
      return { type: "like", dimension, pattern: String(values[0] ?? "") };
    case "not_like":
      return not({ type: "like", dimension, pattern: String(values[0] ?? "") });
    case "empty":
      return isEmpty;
    case "not_empty":
      return not(isEmpty);
    case "from": {
      const [lower, upper] = values;
      const set = (value: unknown) => value !== undefined && value !== "";
      return { type: "bound", dimension, ...(set(lower) && { lower }), ...(set(upper) && { upper }) };
    }
  }
}

/** The condition that a filter expresses; null if it is a more complex one. */
export function toCondition(filter: Filter): Condition | null {
  const negated = filter.type === "not" && filter.field;
  const inner = negated || filter;
  const { dimension } = inner;
  if (dimension === undefined) return null;
  switch (inner.type) {
    case "selector":
      if (inner.value === null) return { dimension, operator: negated ? "not_empty" : "empty", values: [] };
      return { dimension, operator: negated ? "is_not" : "is", values: [inner.value] };
    case "in":
      return { dimension, operator: negated ? "is_not" : "is", values: inner.values ?? [] };
    case "like":
      return { dimension, operator: negated ? "not_like" : "like", values: [inner.pattern] };
    case "bound":
      if (negated || inner.lowerStrict || inner.upperStrict) return null;
      return { dimension, operator: "from", values: [inner.lower, inner.upper] };
    default:
      return null;
  }
}

/** The filters with one more: the dimension has this value. It replaces another value of the same dimension. */
export function withValue(filters: Filter[], dimension: string, value: unknown): Filter[] {
  const added = toFilter(value === null ? { dimension, operator: "empty", values: [] } : { dimension, operator: "is", values: [value] });
  const others = filters.filter((filter) => {
    const condition = toCondition(filter);
    return condition?.dimension !== dimension || condition.operator !== "is";
  });
  return [...others, added];
}
