// Ask the documented example through the generated types, and print the answer.
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.d.ts";

const client = createClient<paths>({
  baseUrl: process.env.GATEWAY_URL,
  headers: { Authorization: `Token ${process.env.GATEWAY_TOKEN}` },
});
const usable = await client.GET("/api/reporting/v1/orgs");
const own = usable.data?.organizations.find((each) => !each.is_partner);
if (own === undefined) throw new Error("no organization");

const report: components["schemas"]["chat_sessions"] = {
  interval: {
    start: "2019-01-01T00:00:00.000+02:00",
    end: "2019-01-01T23:59:59.999+02:00",
    time_zone: "Europe/Helsinki",
  },
  granularity: "all",
  group_by: [],
  aggregations: [{ type: "hyperUnique", fields: ["visitor_ids"] }],
  filters: {
    type: "and",
    fields: [
      { type: "selector", dimension: "scope", value: "org" },
      { type: "selector", dimension: "chat_type", value: "visitor" },
      { type: "selector", dimension: "chat_initiator", value: "visitor" },
    ],
  },
};
const { data, error } = await client.POST("/api/reporting/v1/orgs/{organization_id}/chat_sessions", {
  params: { path: { organization_id: own.id } },
  body: report,
});
if (error !== undefined) throw new Error(error.detail);
if (typeof data !== "object" || !("data" in data)) throw new Error("no answer");
console.log(JSON.stringify(data));
