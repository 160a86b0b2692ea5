// A metric over time: line, area, bars or stacked bars.

import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import type { ChartKind, Panel, Series, TimeChart } from "./answer";
import { colorOf, palette, type Palette } from "./colors";
import { showMoment, showTick } from "./dates";
import { showCompact, showNumber } from "./numbers";
import { texts } from "./texts";

interface Props {
  chart: TimeChart;
  panel: Panel;
  kind: ChartKind;
  zone: string;
  granularity: string;
  /** The keys of the series that are not drawn. */
  hidden: Set<string>;
  onOpen: (index: number) => void;
  /** Called with the start times of the first and the last bucket. */
  onZoom: (first: string, last: string) => void;
}

export function TimePanel({ chart, panel, kind, zone, granularity, hidden, onOpen, onZoom }: Props) {
  const root = useRef<HTMLDivElement>(null);
  const tip = useRef<HTMLDivElement>(null);
  const [zoom, setZoom] = useState<[number, number] | null>(null);
  const shown = panel.series.filter((one) => one.group).length;
  const visible = panel.series.filter((one) => !hidden.has(one.key));

  useEffect(() => {
    const holder = root.current!;
    const draw = new Drawing({ chart, panel, kind, zone, granularity, visible, palette: palette(), tip: tip.current!, onOpen, onZoom: setZoom });
    let plot = draw.create(holder);
    const observer = new ResizeObserver(() => plot.setSize(sizeOf(holder)));
    observer.observe(holder);
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    const redraw = () => {
      plot.destroy();
      draw.options.palette = palette();
      plot = draw.create(holder);
    };
    scheme.addEventListener("change", redraw);
    return () => {
      scheme.removeEventListener("change", redraw);
      observer.disconnect();
      plot.destroy();
    };
  }, [chart, panel, kind, zone, granularity, [...hidden].join("\n")]);

  return (
    <figure class="panel">
      <figcaption>
        {panel.label}
        {panel.groups > shown && <small> {texts.result.shownSeries(shown, panel.groups)}</small>}
      </figcaption>
      <div class="plot" ref={root} role="img" aria-label={texts.result.chart(panel.label, chart.starts.length)}>
        <div class="tip" ref={tip} hidden />
      </div>
      {zoom && (
        <button type="button" class="small" onClick={() => onZoom(chart.starts[zoom[0]]!, chart.starts[zoom[1]]!)}>
          {texts.result.zoomed}
        </button>
      )}
    </figure>
  );
}

const sizeOf = (holder: HTMLElement) => ({ width: Math.max(200, holder.clientWidth), height: Math.max(200, Math.min(420, holder.clientWidth * 0.45)) });

interface Options {
  chart: TimeChart;
  panel: Panel;
  kind: ChartKind;
  zone: string;
  granularity: string;
  visible: Series[];
  palette: Palette;
  tip: HTMLElement;
  onOpen: (index: number) => void;
  onZoom: (range: [number, number] | null) => void;
}

class Drawing {
  constructor(readonly options: Options) {}

  create(holder: HTMLElement): uPlot {
    const { chart, palette, zone, granularity, kind } = this.options;
    const times = chart.starts.map((start) => Date.parse(start) / 1000);
    const width = times.length > 1 ? Math.min(...times.slice(1).map((time, index) => time - times[index]!)) : 3600;
    const isBar = kind === "bar" || kind === "stacked";
    const { data, series } = this.series(times, width);
    const axis = { stroke: palette.muted, grid: { stroke: palette.grid, width: 1 }, ticks: { show: false }, font: "12px system-ui" };
    return new uPlot(
      {
        ...sizeOf(holder),
        tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), zone),
        legend: { show: false },
        padding: [12, 16, 0, 0],
        cursor: { points: { size: 7 }, drag: { x: true, y: false }, focus: { prox: 30 } },
        scales: {
          x: { range: (_, low, high) => [low ?? times[0]!, (high ?? times.at(-1)!) + (isBar ? width : times.length > 1 ? 0 : width)] },
          y: { range: (_, low, high) => uPlot.rangeNum(Math.min(0, low ?? 0), Math.max(high ?? 1, low === high && !high ? 1 : 0), { min: { pad: 0, soft: 0, mode: 1 }, max: { pad: 0.08, soft: 0, mode: 2 } }) },
        },
        axes: [
          { ...axis, size: 32, values: (_, ticks) => ticks.map((tick) => showTick(tick * 1000, zone, granularity)), splits: (u) => this.ticks(u, times) },
          { ...axis, size: 60, values: (_, ticks) => ticks.map(showCompact) },
        ],
        series: [{}, ...series],
        hooks: {
          draw: [(u) => this.markPartial(u, times, width)],
          setCursor: [(u) => this.showTip(u)],
          setScale: [(u, key) => key === "x" && this.noteZoom(u, times, width, isBar)],
          ready: [(u) => this.listen(u)],
        },
      },
      data as uPlot.AlignedData,
      holder,
    );
  }

  /** Ticks stand at the starts of buckets. */
  private ticks(u: uPlot, times: number[]): number[] {
    const shown = times.filter((time) => time >= u.scales["x"]!.min! && time <= u.scales["x"]!.max!);
    const step = Math.max(1, Math.ceil(shown.length / Math.max(1, Math.floor(u.width / 80))));
    return shown.filter((_, index) => index % step === 0);
  }

  private series(times: number[], width: number): { data: (number | null)[][]; series: uPlot.Series[] } {
    const { panel, visible, kind, palette } = this.options;
    const data: (number | null)[][] = [times];
    const series: uPlot.Series[] = [];
    const color = (one: Series) => colorOf(palette, panel, one);
    const shifted = (count: number, index: number): uPlot.Series.BarsPathBuilderOpts => ({
      size: [1, Infinity],
      disp: {
        x0: { unit: 1, values: () => times.map((time) => time + width * (0.1 + (0.8 / count) * index)) },
        size: { unit: 1, values: () => [(0.8 / count) * width] },
      } as unknown as uPlot.Series.BarsPathBuilderFacet,
    }) as uPlot.Series.BarsPathBuilderOpts;
    const bar = (values: (number | null)[], fill: string, count: number, index: number) => {
      data.push(values);
      series.push({ width: 0, fill, points: { show: false }, paths: uPlot.paths.bars!(shifted(count, index)) });
    };
    if (kind === "stacked") {
      // The last series is the highest one: it is drawn first, and the others cover it.
      const sums = visible.reduce<(number | null)[][]>((below, one) => {
        const previous = below.at(-1);
        return [...below, one.values.map((value, index) => (value ?? 0) + (previous?.[index] ?? 0))];
      }, []);
      for (let at = visible.length - 1; at >= 0; at--) bar(sums[at]!, color(visible[at]!), 1, 0);
    } else if (kind === "bar") {
      const all = visible.flatMap((one) => [...(one.previous ? [{ values: one.previous, fill: color(one) + "66" }] : []), { values: one.values, fill: color(one) }]);
      all.forEach(({ values, fill }, index) => bar(values, fill, all.length, index));
    } else {
      for (const one of visible) {
        const stroke = color(one);
        const points = { show: times.length <= 60, size: 5 };
        if (one.previous) {
          data.push(one.previous);
          series.push({ stroke: stroke + "aa", width: 1.5, dash: [5, 5], points: { show: false } });
        }
        data.push(one.values);
        series.push({ stroke, width: 2, points, ...(kind === "area" && { fill: stroke + "38" }) });
      }
    }
    return { data, series };
  }

  private markPartial(u: uPlot, times: number[], width: number): void {
    const { chart, palette } = this.options;
    chart.starts.forEach((start, index) => {
      if (!chart.partial.has(start)) return;
      const left = Math.max(u.bbox.left, u.valToPos(times[index]!, "x", true));
      const right = Math.min(u.bbox.left + u.bbox.width, u.valToPos(times[index + 1] ?? times[index]! + width, "x", true));
      u.ctx.save();
      u.ctx.fillStyle = palette.muted + "22";
      u.ctx.fillRect(left - 2, u.bbox.top, Math.max(6, right - left), u.bbox.height);
      u.ctx.restore();
    });
  }

  private showTip(u: uPlot): void {
    const { tip, chart, visible, panel, palette, zone, granularity } = this.options;
    const { idx, left } = u.cursor;
    tip.hidden = idx == null || left == null || left < 0;
    if (tip.hidden || idx == null) return;
    const start = chart.starts[idx]!;
    const line = (color: string | null, text: string, value: string) => {
      const row = document.createElement("div");
      if (color) {
        const dot = row.appendChild(document.createElement("i"));
        dot.style.background = color;
      }
      row.appendChild(document.createElement("span")).textContent = text;
      row.appendChild(document.createElement("b")).textContent = value;
      return row;
    };
    const rows = visible.flatMap((one) => {
      const color = colorOf(palette, panel, one);
      const value = one.values[idx];
      return [
        line(color, one.label, value == null ? texts.result.missing : showNumber(value)),
        ...(one.previous ? [line(null, `${one.label}, ${texts.result.previous}`, showNumber(one.previous[idx]))] : []),
      ];
    });
    const title = document.createElement("strong");
    title.textContent = showMoment(Date.parse(start), zone, granularity);
    if (chart.partial.has(start)) rows.push(line(null, texts.result.partial, ""));
    tip.replaceChildren(title, ...rows);
    const x = u.valToPos(u.data[0][idx]!, "x");
    const right = x > u.over.clientWidth / 2;
    tip.style.left = right ? "" : `${x + u.over.offsetLeft + 14}px`;
    tip.style.right = right ? `${u.over.clientWidth - x + 30}px` : "";
  }

  private noteZoom(u: uPlot, times: number[], width: number, isBar: boolean): void {
    const { min, max } = u.scales["x"]!;
    if (min == null || max == null) return;
    const shown = times.flatMap((time, index) => (time + (isBar ? width : 0) >= min && time <= max ? [index] : []));
    const all = shown.length === 0 || shown.length === times.length;
    this.options.onZoom(all ? null : [shown[0]!, shown.at(-1)!]);
  }

  private listen(u: uPlot): void {
    let down = 0;
    u.over.addEventListener("pointerdown", (event) => (down = event.clientX));
    u.over.addEventListener("click", (event) => {
      if (Math.abs(event.clientX - down) < 4 && u.cursor.idx != null) this.options.onOpen(u.cursor.idx);
    });
  }
}
