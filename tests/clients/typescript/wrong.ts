// Every line below is a mistake that the types must find.
import type { components } from "./schema.d.ts";

type Report = components["schemas"]["chat_sessions"];
const interval = { start: "2019-01-01", end: "2019-01-02" };
// @ts-expect-error - a report needs aggregations
export const incomplete: Report = { interval };
// @ts-expect-error - sales is a number, so that it has no unique values
export const unsupported: Report = { interval, aggregations: [{ type: "hyperUnique", fields: ["sales"] }] };
// @ts-expect-error - scope has no such value
export const value: Report["filters"] = { type: "selector", dimension: "scope", value: "planet" };
// @ts-expect-error - no such filter
export const filter: Report["filters"] = { type: "regex", dimension: "scope", pattern: "." };
