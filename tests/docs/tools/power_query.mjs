// Runs a program in M, as Power Query would: parsed by Microsoft's parser, evaluated for the parts that the recipe uses.
// power_query.mjs <program> prints the resulting table as JSON. The variables GatewayUrl, … are its parameters.

import { readFileSync } from "node:fs";
import { DefaultSettings, TaskUtils } from "@microsoft/powerquery-parser";

const LIBRARY = {
  "DateTimeZone.FromText": (text) => {
    if (Number.isNaN(Date.parse(text))) throw new Error(`Not a time: ${text}`);
    return { datetimezone: text };
  },
  "Json.Document": (binary) => JSON.parse(binary.toString("utf-8")),
  "Json.FromValue": (value) => Buffer.from(JSON.stringify(value)),
  "List.Transform": (list, transform) => Promise.all(list.map(transform)),
  "Table.FromRows": (rows, columns) => ({ columns, rows }),
  "Table.TransformColumns": async ({ columns, rows }, operations) => {
    const transforms = new Map(operations.map(([name, transform]) => [columns.indexOf(name), transform]));
    if (transforms.has(-1)) throw new Error("No such column");
    const changed = (row) => Promise.all(row.map((cell, at) => transforms.get(at)?.(cell) ?? cell));
    return { columns, rows: await Promise.all(rows.map(changed)) };
  },
  "Text.FromBinary": (binary) => binary.toString("utf-8"),
  "Web.Contents": async (base, options) => {
    const { RelativePath, Query, Headers, ...others } = options;
    if (Object.keys(others).length) throw new Error(`Not known here: ${Object.keys(others)}`);
    const url = new URL(`${base.replace(/\/$/, "")}/${RelativePath}`);
    for (const [name, value] of Object.entries(Query)) url.searchParams.append(name, value);
    const response = await fetch(url, { headers: Headers });
    if (!response.ok) throw new Error(`DataSource.Error: ${response.status} ${await response.text()}`);
    return Buffer.from(await response.arrayBuffer());
  },
};

const text = (literal) => literal.slice(1, -1).replaceAll('""', '"');
const name = (key) => key.literal.replace(/^#"(.*)"$/, "$1");
const items = (node) => node.elements.map((element) => element.node);

const EVALUATE = {
  ArithmeticExpression: async (node, scope) => {
    if (node.operatorConstant.constantKind !== "&") throw new Error("Only & is known here");
    return (await evaluate(node.left, scope)) + (await evaluate(node.right, scope));
  },
  EachExpression: (node, scope) => (value) => evaluate(node.paired, new Map([...scope, ["_", value]])),
  FieldSelector: (node, scope) => scope.get("_")[name(node.content)],
  IdentifierExpression: (node, scope) => {
    const found = scope.get(node.identifier.literal) ?? LIBRARY[node.identifier.literal];
    if (found === undefined) throw new Error(`Not known here: ${node.identifier.literal}`);
    return found;
  },
  LetExpression: async (node, scope) => {
    const inner = new Map(scope);
    for (const { key, value } of items(node.variableList)) inner.set(name(key), await evaluate(value, inner));
    return evaluate(node.expression, inner);
  },
  ListExpression: (node, scope) => Promise.all(items(node.content).map((each) => evaluate(each, scope))),
  LiteralExpression: (node) => (node.literalKind === "Text" ? text(node.literal) : JSON.parse(node.literal)),
  RecordExpression: async (node, scope) => {
    const record = {};
    for (const { key, value } of items(node.content)) record[name(key)] = await evaluate(value, scope);
    return record;
  },
  RecursivePrimaryExpression: async (node, scope) => {
    let value = await evaluate(node.head, scope);
    for (const next of node.recursiveExpressions.elements) {
      if (next.kind === "InvokeExpression") {
        value = await value(...(await Promise.all(items(next.content).map((each) => evaluate(each, scope)))));
      } else if (next.kind === "FieldSelector") {
        value = value[name(next.content)];
      } else throw new Error(`Not known here: ${next.kind}`);
    }
    return value;
  },
  TypePrimaryType: () => "a type",
};

function evaluate(node, scope) {
  if (!(node.kind in EVALUATE)) throw new Error(`Not known here: ${node.kind}`);
  return EVALUATE[node.kind](node, scope);
}

const parsed = await TaskUtils.tryLexParse(DefaultSettings, readFileSync(process.argv[2], "utf-8"));
if (!TaskUtils.isParseStageOk(parsed)) throw parsed.error;
const parameters = new Map([
  ["GatewayUrl", process.env.GATEWAY_URL],
  ["GatewayToken", process.env.GATEWAY_TOKEN],
  ["GatewayOrganizationId", process.env.GATEWAY_ORGANIZATION_ID],
]);
console.log(JSON.stringify(await evaluate(parsed.ast, parameters)));
