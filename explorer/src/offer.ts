// What the gateway of this page offers for a data set, derived from its OpenAPI document and the data set's description.

import { ask, type Description, type Dimension } from "./api";
import { texts } from "./texts";

type Schema = Record<string, any>; // eslint-disable-line -- any part of a JSON Schema

export interface OpenApi {
  paths: Record<string, Record<string, Schema>>;
  components: { schemas: Record<string, Schema> };
}

export const loadOpenApi = async (): Promise<OpenApi> => (await ask<OpenApi>("openapi.json")).body;

const ORGANIZATION_PATH = "/orgs/{organization_id}/";

export interface Metric {
  type: string;
  field: string | null;
  description: string;
}

export interface Offer {
  dimensions: Map<string, Dimension>;
  /** Names that reports can group by: dimensions and parts of the time. */
  groups: string[];
  metrics: Metric[];
  granularities: string[];
  operators: Set<string>;
  has: (key: string) => boolean;
  relativeIntervals: boolean;
  compareTo: string[];
  heatMap: boolean;
  values: boolean;
  explain: boolean;
  csv: boolean;
  arrow: boolean;
}

export function offerOf(openapi: OpenApi, description: Description): Offer {
  const find = (node: Schema | undefined): Schema => {
    const name = node?.["$ref"]?.split("/").pop();
    return name ? find(openapi.components.schemas[name]) : (node ?? {});
  };
  const name = description.name;
  const [path, item] = Object.entries(openapi.paths).find(([each]) => each.endsWith(ORGANIZATION_PATH + name)) ?? ["", {}];
  const post: Schema = item["post"] ?? {};
  const properties = find(openapi.components.schemas[name])["properties"] ?? {};
  const has = (key: string) => key in properties;
  const groups: string[] = find(find(properties["group_by"])["items"])["enum"] ?? description.dimensions.map((each) => each.name);
  const formats = Object.keys(post["responses"]?.["200"]?.["content"] ?? {});
  const queryParameters = ((post["parameters"] ?? []) as Schema[]).map((each) => find(each)["name"]);
  return {
    dimensions: new Map(description.dimensions.map((each) => [each.name, each])),
    groups,
    metrics: description.aggregations.flatMap(({ type, description, fields }): Metric[] =>
      fields.length ? fields.map((field) => ({ type, field, description })) : [{ type, field: null, description }],
    ),
    granularities: description.granularities,
    operators: new Set(description.filters),
    has,
    relativeIntervals: JSON.stringify(find(properties["interval"])).includes('"last"'),
    compareTo: ["previous_period", "previous_year"].filter(
      (each) => has("compare") && JSON.stringify(find(properties["compare"])).includes(each),
    ),
    heatMap: groups.includes("day_of_week") && groups.includes("hour_of_day"),
    values: Object.keys(openapi.paths).some((each) => each.startsWith(`${path}/dimensions/`) && each.endsWith("/values")),
    explain: queryParameters.includes("explain"),
    csv: formats.some((each) => each.startsWith("text/csv")),
    arrow: formats.some((each) => each.startsWith("application/vnd.apache.arrow.stream")),
  };
}

/** What a name of group_by means. */
export const describeGroup = (offer: Offer, name: string): string =>
  offer.dimensions.get(name)?.description ?? texts.timeParts[name] ?? "";

/** How a metric is called: "unique visitor_ids". */
export const metricLabel = (type: string, field: string | null | undefined, fraction?: number): string =>
  texts.metric(type, field ?? null, fraction);
