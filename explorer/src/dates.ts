// Dates of reports: presets, and how moments are shown in the reader's locale.

import type { Interval } from "./report";

const DAY = 86_400_000;

export const browserZone = (): string => Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

export const timeZones = (): string[] => ["UTC", ...Intl.supportedValuesOf("timeZone").filter((zone) => zone !== "UTC")];

/** The date of a moment in a zone, as yyyy-mm-dd. */
export const dateIn = (moment: Date, zone: string): string =>
  new Intl.DateTimeFormat("en-CA", { timeZone: zone, year: "numeric", month: "2-digit", day: "2-digit" }).format(moment);

/** The date some days later. */
export const plusDays = (date: string, days: number): string =>
  new Date(Date.parse(`${date}T00:00:00Z`) + days * DAY).toISOString().slice(0, 10);

export const plusMonths = (date: string, months: number): string => {
  const [year, month] = date.split("-").map(Number) as [number, number];
  return new Date(Date.UTC(year, month - 1 + months, 1)).toISOString().slice(0, 10);
};

/** How an interval looks in two date fields, whose end is inclusive; null if it has times or is relative. */
export function wholeDays({ start, end }: Interval): { from: string; to: string } | null {
  const first = /^(\d{4}-\d\d-\d\d)(T00:00(:00(\.0+)?)?)?$/.exec(start ?? "");
  const last = /^(\d{4}-\d\d-\d\d)(T00:00(:00(\.0+)?)?)?$/.exec(end ?? "");
  return first?.[1] && last?.[1] ? { from: first[1], to: plusDays(last[1], -1) } : null;
}

export interface Preset {
  name: string;
  interval: Interval;
}

/** The days of data that a preset ends with: until today, or until the last row if that is earlier. */
export function presets(range: { first: string; last: string } | null, zone: string, relative: boolean): Preset[] {
  const time_zone = zone;
  const today = dateIn(new Date(), zone);
  const last = range ? dateIn(new Date(range.last), zone) : today;
  const first = range ? dateIn(new Date(range.first), zone) : today;
  const until = last < today ? last : today;
  const end = plusDays(until, 1);
  const from = (start: string): Interval => ({ start: start < first ? first : start, end, time_zone });
  const recent: Preset[] = relative
    ? [
        { name: "today", interval: { current: "day", time_zone } },
        { name: "last_7_days", interval: { last: "P7D", time_zone } },
        { name: "last_30_days", interval: { last: "P30D", time_zone } },
        { name: "last_12_months", interval: { last: "P12M", time_zone } },
        { name: "this_week", interval: { current: "week", time_zone } },
        { name: "this_month", interval: { current: "month", time_zone } },
        { name: "this_year", interval: { current: "year", time_zone } },
      ]
    : [];
  const month = `${until.slice(0, 8)}01`;
  const year = `${until.slice(0, 4)}-01-01`;
  return [
    ...recent,
    { name: "data_7_days", interval: from(plusDays(until, -6)) },
    { name: "data_30_days", interval: from(plusDays(until, -29)) },
    { name: "data_month", interval: from(month) },
    { name: "data_previous_month", interval: { start: plusMonths(month, -1), end: month, time_zone } },
    { name: "data_year", interval: from(year) },
    { name: "data_all", interval: { start: first, end, time_zone } },
  ];
}

const SHORT: Record<string, Intl.DateTimeFormatOptions> = {
  year: { year: "numeric" },
  quarter: { year: "numeric", month: "short" },
  month: { year: "numeric", month: "short" },
  week: { year: "numeric", month: "short", day: "numeric" },
  day: { year: "numeric", month: "short", day: "numeric", weekday: "short" },
};
const MINUTES: Intl.DateTimeFormatOptions = { year: "numeric", month: "short", day: "numeric", hour: "numeric", minute: "2-digit" };
const formats = new Map<string, Intl.DateTimeFormat>();

/** A bucket's start, or any moment, in the reader's locale and the report's zone. */
export function showMoment(moment: number, zone: string, granularity: string): string {
  const key = `${zone}|${granularity}`;
  let format = formats.get(key);
  if (!format) {
    format = new Intl.DateTimeFormat(undefined, { timeZone: zone, ...(SHORT[granularity] ?? MINUTES) });
    formats.set(key, format);
  }
  return format.format(moment);
}

const TICKS: Record<string, Intl.DateTimeFormatOptions> = {
  year: { year: "numeric" },
  quarter: { year: "2-digit", month: "short" },
  month: { year: "2-digit", month: "short" },
  week: { month: "short", day: "numeric" },
  day: { month: "short", day: "numeric" },
};
const HOURS: Intl.DateTimeFormatOptions = { hour: "numeric", minute: "2-digit" };

/** A bucket's start as short as an axis needs it: the hour, and the day where one begins. */
export function showTick(moment: number, zone: string, granularity: string): string {
  const midnight = new Intl.DateTimeFormat("en-GB", { timeZone: zone, ...HOURS }).format(moment) === "00:00";
  const options = TICKS[granularity] ?? (midnight ? TICKS["day"] : HOURS);
  return new Intl.DateTimeFormat(undefined, { timeZone: zone, ...options }).format(moment);
}

/** The granularity in which to look at one bucket of another. */
export const FINER: Record<string, string> = {
  year: "month", quarter: "week", month: "day", week: "day", day: "hour", six_hour: "hour", hour: "five_minute",
  thirty_minute: "minute", fifteen_minute: "minute", five_minute: "minute",
};
