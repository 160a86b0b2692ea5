// The form of a report.

import { useState } from "preact/hooks";
import type { Description, FieldProblem } from "./api";
import { ComputedFields } from "./computedfields";
import { DateFields } from "./datefields";
import { Field } from "./field";
import { FilterFields, type Suggest } from "./filterfields";
import { describeGroup, metricLabel, type Offer } from "./offer";
import { Chip, Picker } from "./picker";
import { Problems, problemsAt } from "./problems";
import { columnOf, normalize, type Report, toBody } from "./report";
import { texts } from "./texts";

interface Props {
  report: Report;
  description: Description;
  offer: Offer;
  problems: FieldProblem[];
  suggest: Suggest | null;
  onChange: (report: Report) => void;
}

export function Builder({ report, description, offer, problems, suggest, onChange }: Props) {
  const set = (change: Partial<Report>) => onChange({ ...report, ...change });
  return (
    <>
      <DateFields
        interval={report.interval}
        description={description}
        relative={offer.relativeIntervals}
        problems={problems}
        onChange={(interval) => set({ interval })}
      />
      <MetricFields report={report} offer={offer} problems={problems} onChange={set} />
      <GroupFields report={report} offer={offer} problems={problems} onChange={set} />
      <FilterFields
        filters={report.filters}
        offer={offer}
        problems={problems}
        suggest={suggest}
        advice={description.advice ?? []}
        onChange={(filters) => set({ filters })}
      />
      <OptionFields report={report} offer={offer} problems={problems} onChange={onChange} />
    </>
  );
}

interface PartProps {
  report: Report;
  offer: Offer;
  problems: FieldProblem[];
  onChange: (change: Partial<Report>) => void;
}

function MetricFields({ report, offer, problems, onChange }: PartProps) {
  const chosen = new Set(report.aggregations.map(columnOf));
  const choices = offer.metrics
    .flatMap(({ type, field, description }) => {
      const fractions = type === "quantile" ? [0.5, 0.9, 0.95, 0.99] : [undefined];
      return fractions.map((fraction) => {
        const aggregation = { type, ...(field && { fields: [field] }), ...(fraction !== undefined && { fraction }) };
        const about = field ? offer.dimensions.get(field)?.description : undefined;
        return {
          key: JSON.stringify(aggregation),
          label: metricLabel(type, field, fraction),
          description: [description, about].filter(Boolean).join(" "),
          column: columnOf(aggregation),
        };
      });
    })
    .filter((each) => !chosen.has(each.column));
  return (
    <fieldset>
      <legend>{texts.builder.metrics}</legend>
      <ul class="chips">
        {report.aggregations.map((each, index) => (
          <Chip
            key={columnOf(each)}
            label={each.name ?? metricLabel(each.type, each.fields?.[0], each.fraction)}
            title={columnOf(each)}
            problem={problemsAt(problems, `/aggregations/${index}`)[0]?.message}
            onRemove={() => onChange({ aggregations: report.aggregations.toSpliced(index, 1) })}
          />
        ))}
      </ul>
      <Problems problems={problems} at="/aggregations" />
      <Picker label={texts.builder.addMetric} choices={choices} onPick={(key) => onChange({ aggregations: [...report.aggregations, JSON.parse(key)] })} />
      {offer.has("post_aggregations") && (
        <ComputedFields report={report} problems={problems} onChange={(computed) => onChange({ post_aggregations: computed })} />
      )}
    </fieldset>
  );
}

function GroupFields({ report, offer, problems, onChange }: PartProps) {
  const choices = offer.groups
    .filter((name) => !report.group_by.includes(name))
    .map((name) => ({ key: name, label: name, description: describeGroup(offer, name) }));
  return (
    <fieldset>
      <legend>{texts.builder.groups}</legend>
      <label>
        {texts.builder.granularity}
        <select value={report.granularity} onChange={(event) => onChange({ granularity: event.currentTarget.value })}>
          {offer.granularities.map((each) => (
            <option key={each} value={each}>
              {texts.granularities[each] ?? each}
            </option>
          ))}
        </select>
      </label>
      <Problems problems={problems} at="/granularity" />
      <ul class="chips">
        {report.group_by.map((name, index) => (
          <Chip
            key={name}
            label={name}
            title={describeGroup(offer, name)}
            problem={problemsAt(problems, `/group_by/${index}`)[0]?.message}
            onRemove={() => onChange({ group_by: report.group_by.toSpliced(index, 1) })}
          />
        ))}
      </ul>
      <Problems problems={problems} at="/group_by" />
      <Picker label={texts.builder.addGroup} choices={choices} onPick={(name) => onChange({ group_by: [...report.group_by, name] })} />
    </fieldset>
  );
}

interface Top {
  groups: number;
  by: string;
  other?: boolean;
}

function OptionFields({ report, offer, problems, onChange }: Omit<PartProps, "onChange"> & { onChange: (report: Report) => void }) {
  const set = (key: string, value: unknown) => {
    const { [key]: _, ...rest } = report;
    onChange((value === undefined ? rest : { ...rest, [key]: value }) as Report);
  };
  const grouped = report.group_by.length > 0;
  const stepped = grouped && report.granularity !== "all";
  const compare = report["compare"] as { to: unknown } | undefined;
  const top = report["top"] as Top | undefined;
  return (
    <fieldset>
      <legend>{texts.builder.options}</legend>
      {offer.compareTo.length > 0 && (
        <label>
          {texts.builder.compare}
          <select value={typeof compare?.to === "string" ? compare.to : ""} onChange={(event) => set("compare", event.currentTarget.value ? { to: event.currentTarget.value } : undefined)}>
            {["", ...offer.compareTo].map((each) => (
              <option key={each} value={each}>
                {texts.compare[each]}
              </option>
            ))}
          </select>
        </label>
      )}
      {offer.has("top") && (grouped || top) && (
        <>
          <Check label={texts.builder.top} on={top !== undefined} onChange={(on) => set("top", on ? { groups: 10, by: report.aggregations[0] && columnOf(report.aggregations[0]) } : undefined)} />
          {top && (
            <>
              <Field label={texts.builder.topCount} type="number" value={String(top.groups)} onChange={(text) => set("top", { ...top, groups: Number(text) })} />
              <Check label={texts.builder.other} on={top.other === true} onChange={(other) => set("top", { ...top, other })} />
            </>
          )}
        </>
      )}
      {offer.has("fill") && (stepped || report["fill"] === true) && <Check label={texts.builder.fill} on={report["fill"] === true} onChange={(on) => set("fill", on || undefined)} />}
      <Check label={texts.builder.totals} on={report["totals"] === true} onChange={(on) => set("totals", on || undefined)} />
      {offer.has("freshness") && <Check label={texts.builder.freshness} on={report["freshness"] === true} onChange={(on) => set("freshness", on || undefined)} />}
      <Field label={texts.builder.limit} type="number" value={String(report["limit"] ?? "")} onChange={(text) => set("limit", text ? Number(text) : undefined)} />
      {["/compare", "/top", "/fill", "/totals", "/limit", "/having", "/order_by", "/freshness"].map((pointer) => (
        <Problems key={pointer} problems={problems} at={pointer} />
      ))}
      <JsonField report={report} onChange={onChange} />
    </fieldset>
  );
}

function Check({ label, on, onChange }: { label: string; on: boolean; onChange: (on: boolean) => void }) {
  return (
    <label class="check">
      <input type="checkbox" checked={on} onChange={(event) => onChange(event.currentTarget.checked)} />
      {label}
    </label>
  );
}

function JsonField({ report, onChange }: { report: Report; onChange: (report: Report) => void }) {
  const [text, setText] = useState<string | null>(null);
  const [error, setError] = useState<string | null>(null);
  const apply = () => {
    try {
      const given: unknown = JSON.parse(text ?? "");
      if (typeof given !== "object" || given === null || Array.isArray(given)) throw new Error("not an object");
      onChange(normalize(given as Record<string, unknown>));
      setText(null);
      setError(null);
    } catch (problem) {
      setError(texts.builder.badJson(String((problem as Error).message)));
    }
  };
  return (
    <details>
      <summary>{texts.builder.json}</summary>
      <textarea aria-label={texts.builder.json} rows={12} spellcheck={false} value={text ?? JSON.stringify(toBody(report), null, 2)} onInput={(event) => setText(event.currentTarget.value)} />
      {error && (
        <p class="problems" role="alert">
          {error}
        </p>
      )}
      <button type="button" class="small" disabled={text === null} onClick={apply}>
        {texts.builder.applyJson}
      </button>
    </details>
  );
}
