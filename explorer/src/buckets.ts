// Moments and buckets in a zone's local time, by the rules of the gateway.
//
// A *wall* time is what a local clock shows, as milliseconds: a moment plus the zone's offset at that moment.

import type { Interval } from "./report";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const MONDAY = 4 * DAY; // 1970-01-05

const STEPS: Record<string, number> = {
  minute: MINUTE, five_minute: 5 * MINUTE, fifteen_minute: 15 * MINUTE, thirty_minute: 30 * MINUTE, hour: HOUR, six_hour: 6 * HOUR, day: DAY, week: 7 * DAY,
};
const MONTHS: Record<string, number> = { month: 1, quarter: 3, year: 12 };
const clocks = new Map<string, Intl.DateTimeFormat>();

function wallOf(moment: number, zone: string): number {
  let clock = clocks.get(zone);
  if (!clock) {
    clock = new Intl.DateTimeFormat("en-US", {
      timeZone: zone, hourCycle: "h23", year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric", second: "numeric",
    });
    clocks.set(zone, clock);
  }
  const shown = new Map(clock.formatToParts(moment).map(({ type, value }) => [type, Number(value)]));
  const [year, month, day, hour, minute, second] = (["year", "month", "day", "hour", "minute", "second"] as const).map((each) => shown.get(each)!) as [number, number, number, number, number, number];
  return Date.UTC(year, month - 1, day, hour, minute, second) + (((moment % 1000) + 1000) % 1000);
}

const offsetAt = (moment: number, zone: string): number => wallOf(moment, zone) - moment;

/** The first moment at which a local clock shows this; null if the clocks skip it. */
function shownAt(wall: number, zone: string): number | null {
  // Offsets change at most once in so short a time.
  const candidates = [wall - DAY, wall + DAY].map((near) => wall - offsetAt(near, zone));
  return candidates.find((each) => wallOf(each, zone) === wall) ?? null;
}

/** The first moment at which a local clock shows this time, or a later one. */
function firstMoment(wall: number, zone: string): number {
  const found = shownAt(wall, zone);
  if (found !== null) return found;
  let [before, after] = [wall + DAY, wall - DAY].map((near) => wall - offsetAt(near, zone)) as [number, number];
  while (after - before > 1) {
    const middle = Math.floor((before + after) / 2);
    if (wallOf(middle, zone) < wall) before = middle;
    else after = middle;
  }
  return after;
}

/** The start of the unit that is `count` units after the one with this wall time. */
function wallStart(wall: number, granularity: string, count: number): number {
  const months = MONTHS[granularity];
  if (months !== undefined) {
    const day = new Date(wall);
    return Date.UTC(day.getUTCFullYear(), (Math.floor(day.getUTCMonth() / months) + count) * months, 1);
  }
  const step = STEPS[granularity]!;
  const origin = granularity === "week" ? MONDAY : 0;
  return (Math.floor((wall - origin) / step) + count) * step + origin;
}

/** The start of the bucket that is `count` buckets after the one with this moment. */
export function startOf(moment: number, granularity: string, zone: string, count: number): number {
  const wall = wallOf(moment, zone);
  const start = wallStart(wall, granularity, count);
  // An hour that occurs twice is two buckets, but a day with such an hour is one.
  return (STEPS[granularity] ?? DAY) <= HOUR ? start - (wall - moment) : firstMoment(start, zone);
}

/** The moment of a date or time in ISO 8601, local to the zone unless it has an offset; NaN if it is not one. */
export function momentOf(text: string, zone: string): number {
  const [, date, time, offset] = /^(\d{4}-\d\d-\d\d)(T[\d:.]+)?(Z|[+-]\d\d:\d\d)?$/.exec(text) ?? [];
  const wall = Date.parse(`${date}${time ?? "T00:00"}Z`);
  if (offset) return Date.parse(text);
  if (Number.isNaN(wall)) return wall;
  // A time that the clocks skip is read with the offset before the change.
  return shownAt(wall, zone) ?? wall - offsetAt(wall - DAY, zone);
}

/** A moment in ISO 8601, local to the zone, with milliseconds and offset. */
export function showIso(moment: number, zone: string): string {
  const minutes = offsetAt(moment, zone) / MINUTE;
  // The offsets of the first clocks have seconds, which ISO 8601 has no form for.
  if (!Number.isInteger(minutes)) return new Date(moment).toISOString();
  const two = (part: number) => String(part).padStart(2, "0");
  const size = Math.abs(minutes);
  return `${new Date(moment + minutes * MINUTE).toISOString().slice(0, -1)}${minutes < 0 ? "-" : "+"}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}

const UNITS: Record<string, string> = { PTM: "minute", PTH: "hour", PD: "day", PW: "week", PM: "month", PY: "year" };

/** The start and end of an interval. A current unit counts as a whole one; a relative interval that is not valid has neither. */
export function bounds({ start, end, last, current, include_current, time_zone }: Interval, now: number): { start?: string; end?: string } {
  if (start !== undefined || end !== undefined) return { ...(start && { start }), ...(end && { end }) };
  const zone = time_zone ?? "UTC";
  const unit = current ?? UNITS[(last ?? "").replace(/\d+/, "")];
  if (unit === undefined || !(unit in STEPS || unit in MONTHS)) return {};
  const whole = current !== undefined || include_current === true;
  const count = current !== undefined ? 1 : Number(/\d+/.exec(last ?? "")?.[0]);
  const at = (units: number) => showIso(startOf(now, unit, zone, units), zone);
  return { start: at(whole ? 1 - count : -count), end: at(whole ? 1 : 0) };
}
