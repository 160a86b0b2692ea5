// From the rows of an answer to what charts draw.

import type { Answer, Cell } from "./api";
import { momentOf, showIso, startOf } from "./buckets";
import { columnOf, type Interval, type Report } from "./report";
import { texts } from "./texts";

export interface Result {
  answer: Answer;
  report: Report;
  requestId: string | null;
  milliseconds: number;
  bytes: number;
}

export interface Series {
  /** Identifies the group: two of them may have the same label. */
  key: string;
  label: string;
  /** The values of group_by, in its order; null for the rest. */
  group: Cell[] | null;
  values: (number | null)[];
  previous: (number | null)[] | null;
}

/** The chart of one metric. */
export interface Panel {
  column: string;
  label: string;
  /** Whether the values of groups add up. */
  additive: boolean;
  /** The largest groups, and the rest as the last one. */
  series: Series[];
  /** How many groups the answer has. */
  groups: number;
}

export interface TimeChart {
  starts: string[];
  partial: Set<string>;
  panels: Panel[];
}

export interface MetricColumn {
  column: string;
  label: string;
  additive: boolean;
  value: number;
  previous: number | null;
  change: number | null;
}

const MOST_SERIES = 12;

export const zoneOf = (report: Report): string => report.interval.time_zone ?? "UTC";

/** The metrics of an answer, with the positions of their columns. */
export function metricsOf({ answer, report }: Pick<Result, "answer" | "report">): MetricColumn[] {
  const known = new Map(report.aggregations.map((each) => [columnOf(each), each]));
  // A comparison follows each metric by its previous value and its change. The names do not say so: callers can choose them.
  const step = report["compare"] === undefined ? 1 : 3;
  const columns = answer.fields.flatMap(({ type }, index) => (type === "metric" ? [index] : []));
  return columns
    .filter((_, place) => place % step === 0)
    .map((value) => {
      const { name } = answer.fields[value]!;
      const aggregation = known.get(name);
      return {
        column: name,
        label: aggregation && !aggregation.name ? texts.metric(aggregation.type, aggregation.fields?.[0] ?? null, aggregation.fraction) : name,
        additive: aggregation !== undefined && ["count", "sum"].includes(aggregation.type),
        value,
        previous: step === 3 ? value + 1 : null,
        change: step === 3 ? value + 2 : null,
      };
    });
}

export const groupColumns = ({ answer, report }: Pick<Result, "answer" | "report">): number[] =>
  report.group_by.map((name) => answer.fields.findIndex((field) => field.name === name));

/** The key of the rest: no JSON, as those of groups are. */
const REST = "rest";

const keyOf = (group: Cell[] | null): string => (group ? JSON.stringify(group) : REST);

const labelOf = (group: Cell[] | null): string => (group ? group.map(showCell).join(" · ") : texts.result.other);

/** Whether the label consists of values. Those of the rest, and of groups without a value, look different. */
export const isNamed = ({ group }: { group: Cell[] | null }): boolean => group !== null && !group.includes(null);

/** The rows of an answer with their groups; null is that of the rows that `other` sums up. */
function groupedRows(result: Result): { row: Cell[]; group: Cell[] | null }[] {
  const { data, other = [] } = result.answer;
  const groups = groupColumns(result);
  return [
    ...data.map((row) => ({ row, group: groups.map((column) => row[column] as Cell) })),
    ...other.map((row) => ({ row, group: null })),
  ];
}

export const showCell = (cell: Cell | undefined): string => (cell == null ? texts.result.noValue : String(cell));

const number = (cell: Cell | undefined): number | null => (typeof cell === "number" ? cell : null);

export function timeChart(result: Result): TimeChart {
  const rows = groupedRows(result);
  const starts = [...new Set(rows.map(({ row }) => row[0] as string))].sort((a, b) => Date.parse(a) - Date.parse(b));
  const at = new Map(starts.map((start, index) => [start, index]));
  const panels = metricsOf(result).map((metric): Panel => {
    const series = new Map<string, Series>();
    for (const { row, group } of rows) {
      const key = keyOf(group);
      let one = series.get(key);
      if (!one) {
        const empty = (): (number | null)[] => Array<number | null>(starts.length).fill(null);
        const label = group && !group.length ? metric.label : labelOf(group);
        one = { key, label, group, values: empty(), previous: metric.previous === null ? null : empty() };
        series.set(key, one);
      }
      const index = at.get(row[0] as string)!;
      one.values[index] = number(row[metric.value]);
      if (one.previous && metric.previous !== null) one.previous[index] = number(row[metric.previous]);
    }
    const rest = series.get(REST);
    series.delete(REST);
    const all = [...series.values()];
    const size = (one: Series) => one.values.reduce((sum: number, value) => sum + Math.abs(value ?? 0), 0);
    const shown = all.length > MOST_SERIES ? all.sort((a, b) => size(b) - size(a)).slice(0, MOST_SERIES) : all;
    return { column: metric.column, label: metric.label, additive: metric.additive, series: [...shown, ...(rest ? [rest] : [])], groups: all.length };
  });
  return { starts, partial: partialBuckets(result, starts), panels };
}

/** The interval of the buckets from `first` to `last`, which are start times, as far as the report's interval has them. */
export function intervalOf({ answer, report }: Result, first: string, last: string): Interval {
  const zone = zoneOf(report);
  const { start, end } = answer.interval ?? report.interval;
  const next = startOf(Date.parse(last), report.granularity, zone, 1);
  return {
    start: start && momentOf(start, zone) >= Date.parse(first) ? start : first,
    end: end && momentOf(end, zone) <= next ? end : showIso(next, zone),
    time_zone: zone,
  };
}

/** The buckets whose numbers may still change. */
function partialBuckets({ answer, report }: Result, starts: string[]): Set<string> {
  if (answer.freshness) return new Set(answer.freshness.partial);
  const { interval, granularity } = report;
  const [zone, now] = [zoneOf(report), Date.now()];
  // The current day or month ends with the current minute, which is over.
  const isCurrent = interval.current !== undefined || interval.include_current === true;
  const goesOn = isCurrent || momentOf(answer.interval?.end ?? interval.end ?? "", zone) > now;
  if (granularity === "all" || !goesOn) return new Set();
  const lastOver = starts.findLastIndex((start) => startOf(Date.parse(start), granularity, zone, 1) <= now);
  return new Set(starts.slice(lastOver + 1));
}

/** The number of rows, those of the rest included. */
export const countRows = ({ data, other = [] }: Answer): number => data.length + other.length;

export interface Bar {
  key: string;
  label: string;
  /** Null for the rest. */
  group: Cell[] | null;
  value: number | null;
  previous: number | null;
  change: number | null;
}

/** The rows of a metric as bars, the largest first and the rest last. */
export function bars(result: Result, metric: MetricColumn): Bar[] {
  const all = groupedRows(result).map(({ row, group }) => ({
    key: keyOf(group),
    label: labelOf(group),
    group,
    value: number(row[metric.value]),
    previous: metric.previous === null ? null : number(row[metric.previous]),
    change: metric.change === null ? null : number(row[metric.change]),
  }));
  const [groups, rest] = [all.filter((bar) => bar.group), all.filter((bar) => !bar.group)];
  return [...groups.sort((a, b) => (b.value ?? -Infinity) - (a.value ?? -Infinity)), ...rest];
}

const MOST_BARS = 50;

/** The bars that a chart shows: the largest, and the rest. */
export const shownBars = (all: Bar[]): Bar[] => all.filter((bar, index) => index < MOST_BARS || !bar.group);

/** The values of a metric by weekday (rows, Monday first) and hour. */
export function heat(result: Result, metric: MetricColumn): (number | null)[][] {
  const [day, hour] = ["day_of_week", "hour_of_day"].map((name) => result.answer.fields.findIndex((field) => field.name === name));
  const grid = Array.from({ length: 7 }, () => Array<number | null>(24).fill(null));
  for (const row of result.answer.data) {
    const line = grid[Number(row[day as number]) - 1];
    if (line) line[Number(row[hour as number])] = number(row[metric.value]);
  }
  return grid;
}

export type ChartKind = keyof typeof texts.charts;

/** The charts that can show this result. */
export function kindsFor(result: Result): ChartKind[] {
  const { report } = result;
  if (isHeat(report)) return ["heat", "table"];
  if (report.granularity !== "all") {
    const metrics = metricsOf(result);
    const stackable = report.group_by.length > 0 && metrics.every((metric) => metric.additive);
    return stackable ? ["line", "area", "bar", "stacked", "table"] : ["line", "area", "bar", "table"];
  }
  return ["bar", "table"];
}

export const isHeat = (report: Report): boolean =>
  report.granularity === "all" && report.group_by.length === 2 && report.group_by.includes("day_of_week") && report.group_by.includes("hour_of_day");
