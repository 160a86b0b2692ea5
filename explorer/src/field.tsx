import { useState } from "preact/hooks";

interface Props {
  label: string;
  type: "date" | "number" | "text";
  value: string;
  decimal?: boolean;
  onChange: (value: string) => void;
}

/** A field that keeps what is being typed until it is complete, also if the page is drawn again meanwhile. */
export function Field({ label, type, value, decimal, onChange }: Props) {
  const [draft, setDraft] = useState<string | null>(null);
  return (
    <label>
      {label}
      <input
        type={type as "text"}
        min={type === "number" ? "1" : undefined}
        spellcheck={false}
        inputMode={decimal ? "decimal" : undefined}
        value={draft ?? value}
        onInput={(event) => setDraft(event.currentTarget.value)}
        onChange={(event) => onChange(event.currentTarget.value)}
        onBlur={() => setDraft(null)}
      />
    </label>
  );
}
