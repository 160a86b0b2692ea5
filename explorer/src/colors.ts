// The colors of series, from the style sheet: they differ between light and dark.

import type { Panel, Series } from "./answer";

const COUNT = 12;

const variable = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export interface Palette {
  series: string[];
  text: string;
  muted: string;
  grid: string;
  surface: string;
  scale: string;
}

/** The colors as the canvas needs them: variables resolved for the current color scheme. */
export function palette(): Palette {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  const of = (name: string) => variable(`--${name}-${dark}`);
  return {
    series: Array.from({ length: COUNT }, (_, index) => of(`series-${index}`)),
    text: of("text"),
    muted: of("muted"),
    grid: of("grid"),
    surface: of("surface"),
    scale: of("series-0"),
  };
}

/** The color of a series: that of its place, and gray for the rest. */
export const colorOf = ({ series, muted }: Palette, panel: Panel, one: Series): string =>
  one.group ? series[panel.series.indexOf(one) % COUNT]! : muted;
