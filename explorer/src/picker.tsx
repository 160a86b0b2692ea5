// A button that opens a searchable list of choices, each with its description.

import { useEffect, useId, useRef, useState } from "preact/hooks";
import { texts } from "./texts";

export interface Choice {
  key: string;
  label: string;
  description?: string;
}

interface Props {
  label: string;
  choices: Choice[];
  onPick: (key: string) => void;
}

export function Picker({ label, choices, onPick }: Props) {
  const [open, setOpen] = useState(false);
  const [search, setSearch] = useState("");
  const root = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const id = useId();

  useEffect(() => {
    if (!open) return;
    const close = (event: Event) => {
      if (!root.current?.contains(event.target as Node)) setOpen(false);
    };
    root.current?.querySelector("input")?.focus();
    document.addEventListener("pointerdown", close);
    document.addEventListener("focusin", close);
    return () => {
      document.removeEventListener("pointerdown", close);
      document.removeEventListener("focusin", close);
    };
  }, [open]);

  const wanted = search.toLowerCase();
  const found = choices.filter((each) => `${each.label} ${each.description ?? ""}`.toLowerCase().includes(wanted));

  const close = () => {
    setOpen(false);
    setSearch("");
    button.current?.focus();
  };
  const pick = (key: string) => {
    onPick(key);
    close();
  };
  const move = (event: KeyboardEvent) => {
    if (event.key === "Escape") close();
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    event.preventDefault();
    const stops = [...(root.current?.querySelectorAll<HTMLElement>(".choices input, .choices button") ?? [])];
    const at = stops.indexOf(document.activeElement as HTMLElement);
    stops[Math.min(stops.length - 1, Math.max(0, at + (event.key === "ArrowDown" ? 1 : -1)))]?.focus();
  };

  return (
    <div class="picker" ref={root} onKeyDown={open ? move : undefined}>
      <button type="button" class="add" ref={button} aria-expanded={open} aria-controls={id} disabled={!choices.length} onClick={() => setOpen(!open)}>
        <span aria-hidden="true">+</span> {label}
      </button>
      {open && (
        <div class="choices" id={id}>
          <input
            type="search"
            aria-label={`${texts.builder.search}: ${label}`}
            placeholder={texts.builder.search}
            value={search}
            onInput={(event) => setSearch(event.currentTarget.value)}
            onKeyDown={(event) => {
              if (event.key === "Enter" && found[0]) {
                event.preventDefault();
                pick(found[0].key);
              }
            }}
          />
          <ul>
            {found.map((each) => (
              <li key={each.key}>
                <button type="button" onClick={() => pick(each.key)}>
                  <strong>{each.label}</strong>
                  {each.description && <small>{each.description}</small>}
                </button>
              </li>
            ))}
            {!found.length && <li class="muted">{texts.builder.nothingFound}</li>}
          </ul>
        </div>
      )}
    </div>
  );
}

/** A chosen thing, with a button that removes it. */
export function Chip({ label, title, problem, onRemove }: { label: string; title?: string; problem?: string | undefined; onRemove: () => void }) {
  return (
    <li class={problem ? "chip wrong" : "chip"}>
      <span title={title}>{label}</span>
      <button type="button" aria-label={texts.builder.remove(label)} onClick={onRemove}>
        ×
      </button>
    </li>
  );
}
