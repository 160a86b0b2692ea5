// A chart as a PNG image.

import type { Panel } from "./answer";
import { palette } from "./colors";

const MARGIN = 24;
const LINE = 22;

/** The canvases of charts below each other, with titles and the names of the series. */
export async function chartsAsPng(title: string, panels: Panel[], canvases: HTMLCanvasElement[]): Promise<Blob> {
  const colors = palette();
  const ratio = devicePixelRatio || 1;
  const width = Math.max(...canvases.map((canvas) => canvas.width)) / ratio;
  const heights = canvases.map((canvas, index) => canvas.height / ratio + LINE * (1 + rowsOf(panels[index]!, width)));
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
  canvases.forEach((canvas, index) => {
    const panel = panels[index]!;
    context.font = "600 13px system-ui";
    context.fillStyle = colors.text;
    context.fillText(panel.label, MARGIN, y + 12);
    y += LINE;
    context.drawImage(canvas, MARGIN, y, canvas.width / ratio, canvas.height / ratio);
    y += canvas.height / ratio;
    if (panel.series.length > 1) {
      context.font = "12px system-ui";
      panel.series.forEach((series, at) => {
        const x = MARGIN + (at % perRow(width)) * 200;
        const row = y + Math.floor(at / perRow(width)) * LINE;
        context.fillStyle = colors.series[at % colors.series.length]!;
        context.fillRect(x, row + 4, 10, 10);
        context.fillStyle = colors.text;
        context.fillText(series.label, x + 16, row + 13, 176);
      });
    }
    y += rowsOf(panel, width) * LINE;
  });
  return new Promise((resolve, reject) => image.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("no image"))), "image/png"));
}

const perRow = (width: number): number => Math.max(1, Math.floor(width / 200));
const rowsOf = (panel: Panel, width: number): number => (panel.series.length > 1 ? Math.ceil(panel.series.length / perRow(width)) : 0);

export function save(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
