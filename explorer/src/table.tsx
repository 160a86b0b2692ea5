// The rows of an answer. Only the visible ones are in the page, so that 100,000 scroll.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Answer, Cell } from "./api";
import { metricsOf, type Result, zoneOf } from "./answer";
import { showMoment } from "./dates";
import { showChange, showNumber } from "./numbers";
import { texts } from "./texts";

const ROW = 32;
const MORE = 10;

interface Props {
  result: Result;
  onFilter: (dimension: string, value: Cell) => void;
  onOpen: (startTime: string) => void;
}

interface Sorting {
  column: number;
  down: boolean;
}

export function ResultTable({ result, onFilter, onOpen }: Props) {
  const { answer, report } = result;
  const box = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(480);
  const [sorting, setSorting] = useState<Sorting | null>(null);
  useEffect(() => {
    const observer = new ResizeObserver(() => setHeight(box.current?.clientHeight ?? 480));
    observer.observe(box.current!);
    return () => observer.disconnect();
  }, []);
  useEffect(() => {
    setSorting(null);
    if (box.current) box.current.scrollTop = 0;
  }, [answer]);

  const rows = useMemo(() => sorted(answer, sorting), [answer, sorting]);
  const first = Math.max(0, Math.floor(top / ROW) - MORE);
  const last = Math.min(rows.length, Math.ceil((top + height) / ROW) + MORE);
  const metrics = useMemo(() => metricsOf(result), [result]);
  const labels = useMemo(() => new Map(metrics.map(({ column, label }) => [column, label])), [metrics]);
  const changes = new Set(metrics.map(({ change }) => change));
  const showMetric = (cell: Cell | undefined, column: number) => (changes.has(column) ? showChange : showNumber)(cell as number | null);
  const widths = useMemo(() => columnWidths(answer, labels), [answer]);
  const canOpen = report.granularity !== "all";
  const zone = zoneOf(report);

  return (
    <div class="rows scroll" ref={box} tabIndex={0} role="region" aria-label={texts.result.table} onScroll={(event) => setTop(event.currentTarget.scrollTop)}>
      <table aria-rowcount={rows.length + 1} style={{ width: `${widths.reduce((a, b) => a + b, 0)}px` }}>
        <colgroup>
          {widths.map((width, index) => (
            <col key={index} style={{ width: `${width}px` }} />
          ))}
        </colgroup>
        <thead>
          <tr aria-rowindex={1}>
            {answer.fields.map(({ name, type }, column) => (
              <th key={name} scope="col" class={type} aria-sort={sorting?.column === column ? (sorting.down ? "descending" : "ascending") : undefined}>
                <button type="button" title={name} onClick={() => setSorting(nextSorting(sorting, column, type === "metric"))}>
                  {labels.get(name) ?? name}
                  <span aria-hidden="true">{sorting?.column === column ? (sorting.down ? " ▾" : " ▴") : ""}</span>
                </button>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {first > 0 && <Gap rows={first} columns={answer.fields.length} />}
          {rows.slice(first, last).map(({ cells, isRest }, index) => (
            <tr key={first + index} aria-rowindex={first + index + 2} class={isRest ? "rest" : undefined}>
              {cells.map((cell, column) => {
                const { name, type } = answer.fields[column]!;
                if (type === "metric") return <td key={column} class="metric">{showMetric(cell, column)}</td>;
                if (column === 0 || name === "previous_start_time") {
                  const text = cell === null ? "–" : showMoment(Date.parse(String(cell)), zone, report.granularity);
                  return (
                    <td key={column} title={String(cell)}>
                      {canOpen && column === 0 ? (
                        <button type="button" title={texts.result.open(text)} onClick={() => onOpen(String(cell))}>
                          {text}
                        </button>
                      ) : (
                        text
                      )}
                    </td>
                  );
                }
                if (isRest) return <td key={column}>{texts.result.other}</td>;
                return <DimensionCell key={column} name={name} value={cell} onFilter={onFilter} />;
              })}
            </tr>
          ))}
          {last < rows.length && <Gap rows={rows.length - last} columns={answer.fields.length} />}
        </tbody>
        {answer.totals && (
          <tfoot>
            <tr>
              {answer.fields.map(({ name, type }, column) => (
                <td key={name} class={type}>
                  {column === 0 ? texts.result.total : type === "metric" ? showMetric(answer.totals?.[column], column) : ""}
                </td>
              ))}
            </tr>
          </tfoot>
        )}
      </table>
    </div>
  );
}

function DimensionCell({ name, value, onFilter }: { name: string; value: Cell; onFilter: Props["onFilter"] }) {
  const text = value === null ? texts.result.noValue : String(value);
  return (
    <td>
      <button type="button" class={value === null ? "muted" : undefined} title={texts.result.filterOn(`${name} ${texts.operators.is} ${text}`)} onClick={() => onFilter(name, value)}>
        <bdi>{text}</bdi>
      </button>
    </td>
  );
}

function Gap({ rows, columns }: { rows: number; columns: number }) {
  return (
    <tr aria-hidden="true">
      <td class="gap" colSpan={columns} style={{ height: `${rows * ROW}px` }} />
    </tr>
  );
}

interface Row {
  cells: Cell[];
  /** Whether it sums up other groups than those of the answer. */
  isRest: boolean;
}

function sorted({ data, other = [] }: Answer, sorting: Sorting | null): Row[] {
  const rows = [...data.map((cells) => ({ cells, isRest: false })), ...other.map((cells) => ({ cells, isRest: true }))];
  if (!sorting) return rows;
  const { column, down } = sorting;
  const sign = down ? -1 : 1;
  return rows.sort((a, b) => {
    const [one, other] = [a.cells[column] ?? null, b.cells[column] ?? null];
    if (one === null || other === null) return one === other ? 0 : one === null ? 1 : -1;
    return sign * (typeof one === "number" && typeof other === "number" ? one - other : String(one).localeCompare(String(other)));
  });
}

/** Numbers are sorted from the largest first; a third click restores the answer's order. */
function nextSorting(sorting: Sorting | null, column: number, down: boolean): Sorting | null {
  if (sorting?.column !== column) return { column, down };
  return sorting.down === down ? { column, down: !down } : null;
}

/** Widths that fit the header and the first rows, and do not change while scrolling. */
function columnWidths(answer: Answer, labels: Map<string, string>): number[] {
  return answer.fields.map(({ name }, column) => {
    const sample = answer.data.slice(0, 50).map((row) => String(row[column] ?? "").length);
    if (answer.other) sample.push(texts.result.other.length);
    const longest = Math.max((labels.get(name) ?? name).length + 2, ...(column === 0 ? [16] : sample.map((length) => Math.min(length, 40))));
    return Math.round(longest * 8 + 28);
  });
}
