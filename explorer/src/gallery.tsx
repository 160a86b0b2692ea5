// Questions to start with: those of the cookbook, and some that every data set can answer.

import { useEffect, useRef } from "preact/hooks";
import type { ChartKind } from "./answer";
import type { Description } from "./api";
import { COOKBOOK } from "./cookbook";
import { presets } from "./dates";
import type { Offer } from "./offer";
import { type Filter, type Interval, normalize, type Report, toFilter } from "./report";
import { texts } from "./texts";

export interface Entry {
  title: string;
  report: Report;
  view: ChartKind | null;
}

/** The filters that the data set's advice asks for: on the first value of each dimension. */
export function advisedFilters(description: Description, offer: Offer): Filter[] {
  return (description.advice ?? []).flatMap(({ dimension }) => {
    const value = offer.dimensions.get(dimension)?.allowed_values?.[0];
    return value === undefined ? [] : [toFilter({ dimension, operator: "is", values: [value] })];
  });
}

/** The report that a data set opens with. */
export function firstReport(description: Description, offer: Offer, zone: string): Report {
  const interval = intervalNamed("data_30_days", description, zone);
  return normalize({ interval, granularity: "day", aggregations: [{ type: "count" }], filters: advisedFilters(description, offer) });
}

const intervalNamed = (name: string, description: Description, zone: string): Interval =>
  presets(description.time_range, zone, false).find((each) => each.name === name)!.interval;

export function galleryOf(description: Description, offer: Offer, zone: string): Entry[] {
  const filters = advisedFilters(description, offer);
  const interval = (name: string) => intervalNamed(name, description, zone);
  const base = { aggregations: [{ type: "count" }], filters };
  const fieldsOf = (type: string) => offer.metrics.flatMap((metric) => (metric.type === type && metric.field ? [metric.field] : []));
  const category = [...offer.dimensions.values()].find((each) => each.allowed_values && !filters.some((filter) => filter.dimension === each.name));
  const unique = fieldsOf("hyperUnique").at(-1);
  const sum = fieldsOf("sum")[0];
  const entries: [string, Record<string, unknown> | null | undefined, ChartKind | null][] = [
    [texts.gallery.perDay, { ...base, interval: interval("data_30_days"), granularity: "day" }, "bar"],
    [texts.gallery.topOf(category?.name ?? ""), category && { ...base, interval: interval("data_30_days"), group_by: [category.name] }, "bar"],
    [texts.gallery.uniquePerDay(unique ?? ""), unique ? { ...base, interval: interval("data_30_days"), granularity: "day", aggregations: [{ type: "hyperUnique", fields: [unique] }] } : null, "line"],
    [texts.gallery.sumPerMonth(sum ?? ""), sum ? { ...base, interval: interval("data_year"), granularity: "month", aggregations: [{ type: "sum", fields: [sum] }] } : null, "bar"],
    [texts.gallery.versus, offer.compareTo.length ? { ...base, interval: interval("data_7_days"), granularity: "day", compare: { to: "previous_period" } } : null, "line"],
    [texts.gallery.heat, offer.heatMap ? { ...base, interval: interval("data_30_days"), group_by: ["day_of_week", "hour_of_day"] } : null, "heat"],
  ];
  const cookbook = COOKBOOK.filter((each) => each.dataSet === description.name).map(({ title, report }) => ({ title, report: normalize(report), view: null }));
  const general = entries.flatMap(([title, report, view]) => (report ? [{ title, report: normalize(report), view }] : []));
  return [...general, ...cookbook];
}

export function Gallery({ entries, onPick, onClose }: { entries: Entry[]; onPick: (entry: Entry) => void; onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} aria-labelledby="gallery-title" onClose={onClose} onClick={(event) => event.target === dialog.current && dialog.current?.close()}>
      <header>
        <h2 id="gallery-title">{texts.gallery.title}</h2>
        <button type="button" class="remove" aria-label={texts.gallery.close} onClick={() => dialog.current?.close()}>
          ×
        </button>
      </header>
      <p class="muted">{texts.gallery.intro}</p>
      <ul class="gallery">
        {entries.map((entry) => (
          <li key={entry.title}>
            <button type="button" onClick={() => onPick(entry)}>
              {entry.title}
            </button>
          </li>
        ))}
      </ul>
    </dialog>
  );
}
