// The filters of a report: one row for each, with suggested values.

import { useEffect, useId, useState } from "preact/hooks";
import type { Dimension, FieldProblem } from "./api";
import type { Offer } from "./offer";
import { Picker } from "./picker";
import { Problems, problemsAt } from "./problems";
import { type Condition, type Filter, type Operator, toCondition, toFilter } from "./report";
import { texts } from "./texts";

/** Suggests values of a dimension that contain a text. */
export type Suggest = (dimension: string, search: string, signal: AbortSignal) => Promise<[string, number][]>;

interface Props {
  filters: Filter[];
  offer: Offer;
  problems: FieldProblem[];
  suggest: Suggest | null;
  advice: { dimension: string; message: string }[];
  onChange: (filters: Filter[]) => void;
}

export function FilterFields({ filters, offer, problems, suggest, advice, onChange }: Props) {
  const set = (index: number, filter: Filter | null) =>
    onChange(filter ? filters.with(index, filter) : filters.toSpliced(index, 1));
  const choices = [...offer.dimensions.values()].map(({ name, description }) => ({ key: name, label: name, description }));
  const isNamed = (dimension: string) => JSON.stringify(filters).includes(`"dimension":${JSON.stringify(dimension)}`);
  return (
    <fieldset>
      <legend>{texts.builder.filters}</legend>
      <ul class="filters">
        {filters.map((filter, index) => (
          <FilterRow
            key={`${index} ${toCondition(filter)?.dimension ?? ""}`}
            filter={filter}
            offer={offer}
            suggest={suggest}
            problems={problems}
            pointer={`/filters/${index}`}
            onChange={(changed) => set(index, changed)}
          />
        ))}
      </ul>
      {!filters.length && <Problems problems={problems} at="/filters" />}
      <Picker label={texts.builder.addFilter} choices={choices} onPick={(name) => onChange([...filters, first(offer.dimensions.get(name))])} />
      {advice
        .filter(({ dimension }) => !isNamed(dimension))
        .map(({ dimension, message }) => (
          <p class="advice" key={dimension}>
            {texts.builder.advice(dimension, message)}{" "}
            {(offer.dimensions.get(dimension)?.allowed_values ?? []).map((value) => (
              <button type="button" class="small" onClick={() => onChange([...filters, toFilter({ dimension, operator: "is", values: [value] })])}>
                {value}
              </button>
            ))}
          </p>
        ))}
    </fieldset>
  );
}

/** A new filter on a dimension: an `in` without values yet, or a range of numbers. */
const first = (dimension: Dimension | undefined): Filter =>
  toFilter({ dimension: dimension?.name ?? "", operator: dimension?.type === "string" ? "is" : "from", values: [] });

interface RowProps {
  filter: Filter;
  offer: Offer;
  suggest: Suggest | null;
  problems: FieldProblem[];
  pointer: string;
  onChange: (filter: Filter | null) => void;
}

function FilterRow({ filter, offer, suggest, problems, pointer, onChange }: RowProps) {
  const condition = toCondition(filter);
  const wrong = problemsAt(problems, pointer).length > 0;
  if (!condition) {
    return (
      <li class={wrong ? "filter wrong" : "filter"}>
        <div class="head">
          <strong>{texts.builder.complex}</strong>
          <Remove what={texts.builder.complex} onRemove={() => onChange(null)} />
        </div>
        <code class="json">{JSON.stringify(filter)}</code>
        <Problems problems={problems} at={pointer} />
      </li>
    );
  }
  const dimension = offer.dimensions.get(condition.dimension);
  const set = (change: Partial<Condition>) => onChange(toFilter({ ...condition, ...change }));
  return (
    <li class={wrong ? "filter wrong" : "filter"}>
      <div class="head">
        <strong title={dimension?.description}>{condition.dimension}</strong>
        <select
          aria-label={`${condition.dimension}: ${texts.builder.filters}`}
          value={condition.operator}
          onChange={(event) => {
            const operator = event.currentTarget.value as Operator;
            const keeps = ["is", "is_not"].includes(operator) === ["is", "is_not"].includes(condition.operator);
            set({ operator, values: keeps ? condition.values : operator.endsWith("like") ? [""] : [] });
          }}
        >
          {operatorsFor(dimension, offer, condition.operator).map((each) => (
            <option key={each} value={each}>
              {texts.operators[each]}
            </option>
          ))}
        </select>
        <Remove what={condition.dimension} onRemove={() => onChange(null)} />
      </div>
      <Values condition={condition} dimension={dimension} suggest={suggest} onChange={(values) => set({ values })} />
      <Problems problems={problems} at={pointer} />
    </li>
  );
}

function Remove({ what, onRemove }: { what: string; onRemove: () => void }) {
  return (
    <button type="button" class="remove" aria-label={texts.builder.remove(what)} onClick={onRemove}>
      ×
    </button>
  );
}

function operatorsFor(dimension: Dimension | undefined, offer: Offer, current: Operator): Operator[] {
  const text = dimension?.type === "string";
  const wanted: [Operator, boolean][] = [
    ["is", true],
    ["is_not", offer.operators.has("not")],
    ["like", text && offer.operators.has("like")],
    ["not_like", text && offer.operators.has("like") && offer.operators.has("not")],
    ["from", offer.operators.has("bound")],
    ["empty", true],
    ["not_empty", offer.operators.has("not")],
  ];
  return wanted.filter(([operator, offered]) => offered || operator === current).map(([operator]) => operator);
}

interface ValuesProps {
  condition: Condition;
  dimension: Dimension | undefined;
  suggest: Suggest | null;
  onChange: (values: unknown[]) => void;
}

function Values({ condition: { dimension: name, operator, values }, dimension, suggest, onChange }: ValuesProps) {
  if (operator === "empty" || operator === "not_empty") return null;
  const typed = (text: string): unknown => (dimension?.type === "string" || text === "" || Number.isNaN(Number(text)) ? text : Number(text));
  if (operator === "from") {
    return (
      <div class="pair">
        {[texts.builder.lowest, texts.builder.highest].map((label, index) => (
          <label key={label}>
            {label}
            <input
              type="text"
              inputMode={dimension?.type === "string" ? "text" : "decimal"}
              value={String(values[index] ?? "")}
              onChange={(event) => onChange([values[0], values[1]].with(index, typed(event.currentTarget.value)))}
            />
          </label>
        ))}
      </div>
    );
  }
  if (operator === "like" || operator === "not_like") {
    return (
      <label>
        {texts.builder.pattern}
        <input type="text" value={String(values[0] ?? "")} onChange={(event) => onChange([event.currentTarget.value])} />
      </label>
    );
  }
  const toggle = (value: unknown) => onChange(values.includes(value) ? values.filter((each) => each !== value) : [...values, value]);
  if (dimension?.allowed_values) {
    return (
      <div class="checks" role="group" aria-label={`${name}: ${texts.builder.values}`}>
        {dimension.allowed_values.map((value) => (
          <label class="check" key={value}>
            <input type="checkbox" checked={values.includes(value)} onChange={() => toggle(value)} />
            {value}
          </label>
        ))}
      </div>
    );
  }
  return (
    <div>
      <ul class="chips">
        {values.map((value) => (
          <li class="chip" key={String(value)}>
            <span>
              <bdi>{String(value)}</bdi>
            </span>
            <button type="button" aria-label={texts.builder.remove(String(value))} onClick={() => toggle(value)}>
              ×
            </button>
          </li>
        ))}
      </ul>
      <ValueInput name={name} suggest={dimension?.type === "string" ? suggest : null} onAdd={(text) => !values.includes(typed(text)) && onChange([...values, typed(text)])} />
    </div>
  );
}

function ValueInput({ name, suggest, onAdd }: { name: string; suggest: Suggest | null; onAdd: (text: string) => void }) {
  const [text, setText] = useState("");
  const [active, setActive] = useState(false);
  const [found, setFound] = useState<[string, number][]>([]);
  const id = useId();
  useEffect(() => {
    if (!suggest || !active) return;
    const stop = new AbortController();
    const timer = setTimeout(() => {
      suggest(name, text, stop.signal).then(setFound, () => setFound([]));
    }, 200);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [name, text, active, suggest]);
  const add = (value: string) => {
    if (value !== "") onAdd(value);
    setText("");
  };
  return (
    <div>
      <input
        type="text"
        list={id}
        autocomplete="off"
        aria-label={`${name}: ${texts.builder.addValue}`}
        placeholder={texts.builder.addValue}
        value={text}
        onFocus={() => setActive(true)}
        onInput={(event) => {
          const value = event.currentTarget.value;
          // A choice from the list arrives as an input event without a type of editing.
          const chosen = !(event as InputEvent).inputType || (event as InputEvent).inputType === "insertReplacementText";
          if (chosen && found.some(([each]) => each === value)) add(value);
          else setText(value);
        }}
        onKeyDown={(event) => {
          if (event.key !== "Enter" || event.ctrlKey || event.metaKey) return;
          event.preventDefault();
          add(text);
        }}
        onBlur={() => add(text)}
      />
      <datalist id={id}>
        {found.map(([value, count]) => (
          <option key={value} value={value}>
            {count}
          </option>
        ))}
      </datalist>
    </div>
  );
}
