// What the page shows: whose report on which data set, and how. It is in the URL's fragment, which is never sent anywhere.

import type { ChartKind } from "./answer";
import { normalize, type Report, toBody } from "./report";

export interface Question {
  organization: string;
  dataSet: string;
  report: Report | null;
  view: ChartKind | null;
}

export function toFragment({ organization, dataSet, report, view }: Question): string {
  const parts = new URLSearchParams({ organization, data_set: dataSet });
  if (view) parts.set("view", view);
  if (report) parts.set("report", JSON.stringify(toBody(report)));
  return `#${parts}`;
}

export function fromFragment(fragment: string): Question | null {
  const parts = new URLSearchParams(fragment.replace(/^#/, ""));
  const [organization, dataSet, view, text] = ["organization", "data_set", "view", "report"].map((name) => parts.get(name));
  // An organization may have no data set.
  if (!organization || dataSet == null) return null;
  let report: Report | null = null;
  try {
    const given: unknown = text ? JSON.parse(text) : null;
    if (given && typeof given === "object" && !Array.isArray(given)) report = normalize(given as Record<string, unknown>);
  } catch {
    // A link that was cut off opens the data set.
  }
  return { organization, dataSet, report, view: (view as ChartKind | null) ?? null };
}

export const linkTo = (question: Question): string => new URL(toFragment(question), location.href).href;
