// A chart as a PNG image.

import { type Bar, shownBars } from "./answer";
import { palette } from "./colors";
import { showCompact, showNumber } from "./numbers";
import { texts } from "./texts";

/** One chart of an image: a canvas, and the names and colors of its series. */
export interface Picture {
  label: string;
  canvas: HTMLCanvasElement;
  series: { label: string; color: string }[];
}

const MARGIN = 24;
const LINE = 22;

/** Charts below each other, with titles and the names of the series. */
export async function asPng(title: string, pictures: Picture[]): Promise<Blob> {
  const colors = palette();
  const ratio = devicePixelRatio || 1;
  const width = Math.max(...pictures.map(({ canvas }) => canvas.width)) / ratio;
  const heights = pictures.map((picture) => picture.canvas.height / ratio + LINE * (1 + rowsOf(picture, width)));
  const image = document.createElement("canvas");
  image.width = (width + 2 * MARGIN) * ratio;
  image.height = (heights.reduce((a, b) => a + b, 0) + 2 * MARGIN + LINE) * ratio;
  const context = image.getContext("2d")!;
  context.scale(ratio, ratio);
  context.fillStyle = colors.surface;
  context.fillRect(0, 0, image.width, image.height);
  context.font = "600 15px system-ui";
  context.fillStyle = colors.text;
  context.fillText(title, MARGIN, MARGIN + 8);
  let y = MARGIN + LINE;
  pictures.forEach((picture) => {
    const { canvas, label, series } = picture;
    context.font = "600 13px system-ui";
    context.fillStyle = colors.text;
    context.fillText(label, MARGIN, y + 12);
    y += LINE;
    context.drawImage(canvas, MARGIN, y, canvas.width / ratio, canvas.height / ratio);
    y += canvas.height / ratio;
    if (series.length > 1) {
      context.font = "12px system-ui";
      series.forEach((one, at) => {
        const x = MARGIN + (at % perRow(width)) * 200;
        const row = y + Math.floor(at / perRow(width)) * LINE;
        context.fillStyle = one.color;
        context.fillRect(x, row + 4, 10, 10);
        context.fillStyle = colors.text;
        context.fillText(one.label, x + 16, row + 13, 176);
      });
    }
    y += rowsOf(picture, width) * LINE;
  });
  return new Promise((resolve, reject) => image.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("no image"))), "image/png"));
}

const perRow = (width: number): number => Math.max(1, Math.floor(width / 200));
const rowsOf = ({ series }: Picture, width: number): number => (series.length > 1 ? Math.ceil(series.length / perRow(width)) : 0);

function canvasOf(width: number, height: number): [HTMLCanvasElement, CanvasRenderingContext2D] {
  const canvas = document.createElement("canvas");
  const ratio = devicePixelRatio || 1;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  const context = canvas.getContext("2d")!;
  context.scale(ratio, ratio);
  context.font = "12px system-ui";
  context.textBaseline = "middle";
  return [canvas, context];
}

/** Groups as horizontal bars. */
export function barsPicture(label: string, bars: Bar[]): Picture {
  const shown = shownBars(bars);
  const [canvas, context] = canvasOf(800, Math.max(1, shown.length) * 24);
  const colors = palette();
  const largest = Math.max(...shown.map((bar) => Math.abs(bar.value ?? 0)), 1e-300);
  shown.forEach((bar, index) => {
    const middle = index * 24 + 12;
    context.fillStyle = colors.text;
    context.fillText(bar.label, 0, middle, 230);
    context.fillText(showNumber(bar.value), 720, middle, 80);
    context.fillStyle = bar.group ? colors.scale : colors.muted;
    context.fillRect(240, middle - 8, (470 * Math.abs(bar.value ?? 0)) / largest, 16);
  });
  return { label, canvas, series: [] };
}

/** A metric by weekday and hour. */
export function heatPicture(label: string, grid: (number | null)[][]): Picture {
  const [canvas, context] = canvasOf(40 + 24 * 36, 20 + 7 * 28);
  const colors = palette();
  const largest = Math.max(...grid.flat().map((value) => value ?? 0), 1e-300);
  context.textAlign = "center";
  grid.forEach((row, day) => {
    const middle = 34 + day * 28;
    context.fillStyle = colors.muted;
    context.fillText(texts.result.weekdays[day]!, 16, middle);
    row.forEach((value, hour) => {
      const x = 40 + hour * 36;
      if (day === 0) context.fillText(String(hour), x + 17, 8);
      context.globalAlpha = (value ?? 0) / largest;
      context.fillStyle = colors.scale;
      context.fillRect(x, middle - 13, 34, 26);
      context.globalAlpha = 1;
      context.fillStyle = colors.text;
      if (value !== null) context.fillText(showCompact(value), x + 17, middle);
      context.fillStyle = colors.muted;
    });
  });
  return { label, canvas, series: [] };
}

export function save(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
