// Groups as horizontal bars, and a single number. Real elements, so that they can be read and clicked by everyone.

import type { Cell } from "./api";
import { type Bar, isNamed, shownBars } from "./answer";
import { showChange, showNumber } from "./numbers";
import { texts } from "./texts";

interface Props {
  label: string;
  bars: Bar[];
  onOpen: (group: Cell[]) => void;
}

export function BarPanel({ label, bars, onOpen }: Props) {
  const shown = shownBars(bars);
  const [groups, shownGroups] = [bars, shown].map((each) => each.filter((bar) => bar.group).length) as [number, number];
  const largest = Math.max(...shown.map((bar) => Math.max(Math.abs(bar.value ?? 0), Math.abs(bar.previous ?? 0))), 1e-300);
  return (
    <figure class="panel">
      <figcaption>
        {label}
        {groups > shownGroups && <small> {texts.result.shownSeries(shownGroups, groups)}</small>}
      </figcaption>
      <ul class="bars">
        {shown.map((bar) => (
          <li key={bar.key}>
            {bar.group ? (
              <button type="button" title={texts.result.open(bar.label)} onClick={() => onOpen(bar.group!)}>
                <BarLine bar={bar} largest={largest} />
              </button>
            ) : (
              <div class="rest">
                <BarLine bar={bar} largest={largest} />
              </div>
            )}
          </li>
        ))}
      </ul>
    </figure>
  );
}

function BarLine({ bar, largest }: { bar: Bar; largest: number }) {
  return (
    <>
      <bdi class={isNamed(bar) ? "name" : "name muted"}>{bar.label}</bdi>
      <span class="track" aria-hidden="true">
        {bar.previous !== null && <span class="before" style={{ width: `${(100 * Math.abs(bar.previous)) / largest}%` }} />}
        <span class="now" style={{ width: `${(100 * Math.abs(bar.value ?? 0)) / largest}%` }} />
      </span>
      <span class="value">
        {showNumber(bar.value)}
        {bar.change !== null && <Change change={bar.change} />}
      </span>
    </>
  );
}

export function NumberTile({ label, bar, compared }: { label: string; bar: Bar | undefined; compared: boolean }) {
  return (
    <div class="tile">
      <span class="muted">{label}</span>
      <strong>{showNumber(bar?.value)}</strong>
      {compared && (
        <span>
          <Change change={bar?.change ?? null} />{" "}
          <span class="muted">
            {texts.result.previous}: {showNumber(bar?.previous)}
          </span>
        </span>
      )}
    </div>
  );
}

export function Change({ change }: { change: number | null }) {
  const direction = change === null || change === 0 ? "same" : change > 0 ? "up" : "down";
  return <span class={`change ${direction}`}>{showChange(change)}</span>;
}
