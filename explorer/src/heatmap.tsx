// A metric by weekday and hour: a table whose cells are colored by their value.

import { showCompact, showNumber } from "./numbers";
import { texts } from "./texts";

const STEPS = 6;

export function HeatPanel({ label, grid }: { label: string; grid: (number | null)[][] }) {
  const largest = Math.max(...grid.flat().map((value) => value ?? 0), 1e-300);
  const step = (value: number | null) => (value ? Math.max(1, Math.ceil((STEPS * value) / largest)) : 0);
  return (
    <figure class="panel">
      <figcaption>{label}</figcaption>
      <div class="scroll" tabIndex={0} role="region" aria-label={label}>
        <table class="heat">
          <thead>
            <tr>
              <td />
              {Array.from({ length: 24 }, (_, hour) => (
                <th key={hour} scope="col">
                  {hour}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {grid.map((row, day) => (
              <tr key={day}>
                <th scope="row">{texts.result.weekdays[day]}</th>
                {row.map((value, hour) => (
                  <td key={hour} class={`heat-${step(value)}`} title={`${texts.result.weekdays[day]} ${hour}:00 – ${showNumber(value)}`}>
                    {value === null ? "" : showCompact(value)}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </figure>
  );
}
