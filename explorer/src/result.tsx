// The result of a report: warnings, charts, rows and details.

import { useMemo, useState } from "preact/hooks";
import { Actions } from "./actions";
import { bars, type ChartKind, countRows, heat, intervalOf, isHeat, isNamed, kindsFor, metricsOf, type Result, timeChart, zoneOf } from "./answer";
import type { Cell, Explanation } from "./api";
import { BarPanel, NumberTile } from "./barchart";
import { FINER, showMoment } from "./dates";
import { HeatPanel } from "./heatmap";
import { showNumber } from "./numbers";
import type { Offer } from "./offer";
import { colorOf, palette } from "./colors";
import { barsPicture, heatPicture, type Picture } from "./png";
import type { Question } from "./question";
import { type Report, withValue } from "./report";
import { ResultTable } from "./table";
import { TimePanel } from "./timechart";
import { texts } from "./texts";

interface Props {
  result: Result;
  question: Question & { report: Report };
  token: string;
  offer: Offer;
  title: string;
  explanation: Explanation | null;
  onView: (view: ChartKind) => void;
  /** Ask the next report: it runs at once. */
  onAsk: (report: Report) => void;
}

export function ResultView({ result, question, token, offer, title, explanation, onView, onAsk }: Props) {
  const { answer, report } = result;
  const kinds = kindsFor(result);
  const kind = question.view && kinds.includes(question.view) ? question.view : kinds[0]!;
  const overTime = report.granularity !== "all";
  const chart = useMemo(() => (overTime ? timeChart(result) : null), [result]);
  const metrics = metricsOf(result);
  const isEmpty = countRows(answer) === 0;

  const openBucket = (startTime: string) => {
    const granularity = FINER[report.granularity];
    if (granularity) onAsk({ ...report, interval: intervalOf(result, startTime, startTime), granularity });
  };
  const filterOn = (dimension: string, value: Cell) => {
    if (offer.dimensions.has(dimension)) onAsk({ ...report, filters: withValue(report.filters, dimension, value) });
  };
  /** Open a group: only its rows, and the time in steps once no group is left. */
  const openGroup = (group: Cell[]) => {
    const filters = report.group_by.reduce((so, name, index) => (offer.dimensions.has(name) ? withValue(so, name, group[index] ?? null) : so), report.filters);
    const { order_by: _, limit: __, having: ___, top: ____, fill: _____, ...rest } = report;
    onAsk({ ...rest, group_by: [], granularity: "day", filters } as Report);
  };
  const zoom = (first: string, last: string) => onAsk({ ...report, interval: intervalOf(result, first, last) });

  const pictures = (): Picture[] => {
    if (!chart) return metrics.map((metric) => (isHeat(report) ? heatPicture(metric.label, heat(result, metric)) : barsPicture(metric.label, bars(result, metric))));
    const canvases = document.querySelectorAll<HTMLCanvasElement>("#charts canvas");
    const colors = palette();
    return chart.panels.map((panel, index) => ({
      label: panel.label,
      canvas: canvases[index]!,
      series: panel.series.map((one) => ({ label: one.label, color: colorOf(colors, panel, one) })),
    }));
  };

  return (
    <>
      {(answer.warnings ?? []).map((each) => (
        <p class="note warning" key={each.message}>
          {each.message}
        </p>
      ))}
      <div class="bar">
        {!isEmpty && (
          <div class="kinds" role="group" aria-label={texts.result.chartKind}>
            {kinds.map((each) => (
              <button key={each} type="button" aria-pressed={each === kind} onClick={() => onView(each)}>
                {texts.charts[each]}
              </button>
            ))}
          </div>
        )}
        <Actions question={{ ...question, report }} token={token} offer={offer} title={title} pictures={!isEmpty && kind !== "table" && (chart || report.group_by.length) ? pictures : null} />
      </div>
      {isEmpty && <p class="empty">{texts.result.noRows}</p>}
      {!isEmpty && kind !== "table" && (
        <div id="charts">
          {chart && <TimeCharts chart={chart} kind={kind} result={result} onOpen={openBucket} onZoom={zoom} />}
          {!chart && isHeat(report) && metrics.map((metric) => <HeatPanel key={metric.column} label={metric.label} grid={heat(result, metric)} />)}
          {!chart && !isHeat(report) && report.group_by.length > 0 && metrics.map((metric) => <BarPanel key={metric.column} label={metric.label} bars={bars(result, metric)} onOpen={openGroup} />)}
          {!chart && !report.group_by.length && (
            <div class="tiles">
              {metrics.map((metric) => (
                <NumberTile key={metric.column} label={metric.label} bar={bars(result, metric)[0]} compared={metric.previous !== null} />
              ))}
            </div>
          )}
        </div>
      )}
      {answer.freshness && <p class="muted">{texts.result.final(showMoment(Date.parse(answer.freshness.complete_until), zoneOf(report), "minute"))}</p>}
      {!isEmpty && (
        <>
          <p class="muted">
            {texts.result.rows(showNumber(answer.data.length), answer.other ? showNumber(answer.other.length) : null)}
            {chart && kind !== "table" && ` · ${texts.result.hint}`}
            {chart && chart.partial.size > 0 && ` · ▒ ${texts.result.partial}`}
          </p>
          <ResultTable result={result} onFilter={filterOn} onOpen={openBucket} />
        </>
      )}
      <Details result={result} explanation={explanation} />
    </>
  );
}

interface ChartsProps {
  chart: NonNullable<ReturnType<typeof timeChart>>;
  kind: ChartKind;
  result: Result;
  onOpen: (startTime: string) => void;
  onZoom: (first: string, last: string) => void;
}

function TimeCharts({ chart, kind, result, onOpen, onZoom }: ChartsProps) {
  const [hidden, setHidden] = useState<Set<string>>(new Set());
  const grouped = result.report.group_by.length > 0;
  const colors = palette();
  const toggle = (key: string) => {
    const next = new Set(hidden);
    if (!next.delete(key)) next.add(key);
    setHidden(next);
  };
  return (
    <>
      {chart.panels.map((panel) => (
        <div key={panel.column}>
          <TimePanel
            chart={chart}
            panel={panel}
            kind={kind}
            zone={zoneOf(result.report)}
            granularity={result.report.granularity}
            hidden={hidden}
            onOpen={(index) => onOpen(chart.starts[index]!)}
            onZoom={onZoom}
          />
          {grouped && (
            <ul class="legend">
              {panel.series.map((series) => (
                <li key={series.key}>
                  <button type="button" aria-pressed={!hidden.has(series.key)} onClick={() => toggle(series.key)}>
                    <i style={{ background: colorOf(colors, panel, series) }} />
                    <bdi class={isNamed(series) ? undefined : "muted"}>{series.label}</bdi>
                  </button>
                </li>
              ))}
            </ul>
          )}
        </div>
      ))}
    </>
  );
}

function Details({ result, explanation }: { result: Result; explanation: Explanation | null }) {
  return (
    <details class="card">
      <summary>{texts.details.title}</summary>
      <dl>
        <dt>{texts.details.requestId}</dt>
        <dd>
          <code>{result.requestId}</code>
        </dd>
        <dt>{texts.details.time}</dt>
        <dd>{texts.details.milliseconds(showNumber(Math.round(result.milliseconds)))}</dd>
      </dl>
      {explanation && (
        <>
          <h2>{texts.details.canonical}</h2>
          <pre tabIndex={0}>{JSON.stringify(explanation.report, null, 2)}</pre>
          {explanation.queries && (
            <>
              <h2>{texts.details.native}</h2>
              <pre tabIndex={0}>{JSON.stringify(explanation.queries, null, 2)}</pre>
            </>
          )}
        </>
      )}
    </details>
  );
}
