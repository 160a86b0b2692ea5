// The interval of a report: presets, dates or moments, and the time zone.

import { useState } from "preact/hooks";
import type { Description, FieldProblem } from "./api";
import { plusDays, presets, showMoment, timeZones, wholeDays } from "./dates";
import { Problems } from "./problems";
import { equal, type Interval } from "./report";
import { texts } from "./texts";

interface Props {
  interval: Interval;
  description: Description;
  relative: boolean;
  problems: FieldProblem[];
  onChange: (interval: Interval) => void;
}

const ZONES = timeZones();

export function DateFields({ interval, description, relative, problems, onChange }: Props) {
  const zone = interval.time_zone ?? "UTC";
  const range = description.time_range;
  const offered = presets(range, zone, relative);
  const preset = offered.find((each) => equal(each.interval, interval))?.name ?? "custom";
  const days = wholeDays(interval);
  const isRelative = interval.start === undefined && interval.end === undefined;
  const [withTimes, setWithTimes] = useState(false);
  const times = !isRelative && (withTimes || !days);

  const setPreset = (name: string) => {
    const chosen = offered.find((each) => each.name === name);
    if (chosen) onChange(chosen.interval);
    else if (isRelative) onChange(offered.find((each) => each.name === "data_30_days")!.interval);
  };
  const setZone = (time_zone: string) => {
    const same = presets(range, time_zone, relative).find((each) => each.name === preset);
    onChange(same?.interval ?? { ...interval, time_zone });
  };

  return (
    <fieldset>
      <legend>{texts.builder.dates}</legend>
      <label>
        {texts.builder.preset}
        <select value={preset} onChange={(event) => setPreset(event.currentTarget.value)}>
          <option value="custom">{texts.presets["custom"]}</option>
          {offered.map(({ name }) => (
            <option key={name} value={name}>
              {texts.presets[name]}
            </option>
          ))}
        </select>
      </label>
      {!isRelative && !times && days && (
        <div class="pair">
          <label>
            {texts.builder.from}
            <input type="date" required value={days.from} onChange={(event) => event.currentTarget.value && onChange({ start: event.currentTarget.value, end: interval.end!, time_zone: zone })} />
          </label>
          <label>
            {texts.builder.to}
            <input type="date" required value={days.to} onChange={(event) => event.currentTarget.value && onChange({ start: interval.start!, end: plusDays(event.currentTarget.value, 1), time_zone: zone })} />
          </label>
        </div>
      )}
      {times && (
        <div class="pair">
          <label>
            {texts.builder.start}
            <input type="text" spellcheck={false} value={interval.start} onChange={(event) => onChange({ ...interval, start: event.currentTarget.value })} />
          </label>
          <label>
            {texts.builder.end}
            <input type="text" spellcheck={false} value={interval.end} onChange={(event) => onChange({ ...interval, end: event.currentTarget.value })} />
          </label>
        </div>
      )}
      {!isRelative && days && (
        <label class="check">
          <input type="checkbox" checked={withTimes} onChange={(event) => setWithTimes(event.currentTarget.checked)} />
          {texts.builder.withTimes}
        </label>
      )}
      <label>
        {texts.builder.zone}
        <select value={zone} onChange={(event) => setZone(event.currentTarget.value)}>
          {(ZONES.includes(zone) ? ZONES : [zone, ...ZONES]).map((each) => (
            <option key={each}>{each}</option>
          ))}
        </select>
      </label>
      <Problems problems={problems} at="/interval" />
      <p class="muted">
        {range
          ? texts.builder.dataFrom(showMoment(Date.parse(range.first), zone, "day"), showMoment(Date.parse(range.last), zone, "day"))
          : texts.builder.noData}
      </p>
    </fieldset>
  );
}
