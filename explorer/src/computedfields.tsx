// Numbers computed from those of the same row: the post-aggregations of a report.

import { useId, useState } from "preact/hooks";
import type { FieldProblem } from "./api";
import { Chip } from "./picker";
import { Problems, problemsAt } from "./problems";
import { columnOf, type Report } from "./report";
import { texts } from "./texts";

export interface Computed {
  type: string;
  name: string;
  fn: string;
  fields: (string | number)[];
}

interface Props {
  report: Report;
  problems: FieldProblem[];
  onChange: (computed: Computed[]) => void;
}

export function ComputedFields({ report, problems, onChange }: Props) {
  const computed = (report["post_aggregations"] ?? []) as Computed[];
  const columns = [...report.aggregations.map(columnOf), ...computed.map((each) => each.name)];
  return (
    <>
      <ul class="chips">
        {computed.map((each, index) => (
          <Chip
            key={each.name}
            label={each.name}
            title={each.fields.join(` ${each.fn} `)}
            problem={problemsAt(problems, `/post_aggregations/${index}`)[0]?.message}
            onRemove={() => onChange(computed.toSpliced(index, 1))}
          />
        ))}
      </ul>
      <Problems problems={problems} at="/post_aggregations" />
      <NewComputed columns={columns} onAdd={(added) => onChange([...computed, added])} />
    </>
  );
}

const WORDS: Record<string, string> = { "/": "per", "*": "times", "+": "plus", "-": "minus" };

function NewComputed({ columns, onAdd }: { columns: string[]; onAdd: (computed: Computed) => void }) {
  const [open, setOpen] = useState(false);
  const [first, setFirst] = useState("");
  const [fn, setFn] = useState("/");
  const [second, setSecond] = useState("");
  const [name, setName] = useState("");
  const id = useId();
  const left = columns.includes(first) ? first : (columns[0] ?? "");
  const number = second.trim() !== "" && Number.isFinite(Number(second)) ? Number(second) : null;
  const proposed = `${left}_${WORDS[fn]}_${second}`.replace(/\W/g, "_").slice(0, 64);
  const add = () => {
    onAdd({ type: "arithmetic", name: name || proposed, fn, fields: [left, number ?? second] });
    setOpen(false);
    setSecond("");
    setName("");
  };
  if (!open) {
    return (
      <button type="button" class="add" disabled={!columns.length} onClick={() => setOpen(true)}>
        <span aria-hidden="true">+</span> {texts.computed.add}
      </button>
    );
  }
  return (
    <div class="filter" role="group" aria-label={texts.computed.add}>
      <label>
        {texts.computed.first}
        <select value={left} onChange={(event) => setFirst(event.currentTarget.value)}>
          {columns.map((each) => (
            <option key={each}>{each}</option>
          ))}
        </select>
      </label>
      <label>
        {texts.computed.operation}
        <select value={fn} onChange={(event) => setFn(event.currentTarget.value)}>
          {Object.entries(texts.computed.operations).map(([each, label]) => (
            <option key={each} value={each}>
              {label}
            </option>
          ))}
        </select>
      </label>
      <label>
        {texts.computed.second}
        <input type="text" list={id} autocomplete="off" spellcheck={false} value={second} onInput={(event) => setSecond(event.currentTarget.value)} />
      </label>
      <datalist id={id}>
        {columns.map((each) => (
          <option key={each} value={each} />
        ))}
      </datalist>
      <label>
        {texts.computed.name}
        <input type="text" spellcheck={false} placeholder={second ? proposed : ""} value={name} onInput={(event) => setName(event.currentTarget.value)} />
      </label>
      <div class="pair">
        <button type="button" class="small" disabled={!second.trim()} onClick={add}>
          {texts.computed.apply}
        </button>
        <button type="button" class="small" onClick={() => setOpen(false)}>
          {texts.computed.cancel}
        </button>
      </div>
    </div>
  );
}
