// A report as a program in other tools. The token is never part of it: each reads it from a variable.

import { type Scheme, urlOf } from "./api";
import { type Report, toBody } from "./report";

export type Language = "curl" | "python" | "javascript" | "powerQuery";

export function asCode(language: Language, organization: string, dataSet: string, report: Report, scheme: Scheme): string {
  const url = urlOf(organization, dataSet);
  return PROGRAMS[language](url, toBody(report), scheme);
}

const PROGRAMS: Record<Language, (url: string, body: Record<string, unknown>, scheme: Scheme) => string> = {
  curl: (url, body, scheme) => `curl ${shell(url)} \\
  -H "Authorization: ${scheme} $GATEWAY_TOKEN" \\
  -H 'Content-Type: application/json' \\
  --data ${shell(JSON.stringify(body))}
`,
  python: (url, body, scheme) => `import os

import pandas
import requests

report = ${python(body)}
response = requests.post(
    ${python(url)},
    json=report,
    headers={"Authorization": "${scheme} " + os.environ["GATEWAY_TOKEN"]},
    timeout=60,
)
response.raise_for_status()
answer = response.json()
frame = pandas.DataFrame(answer["data"], columns=[field["name"] for field in answer["fields"]])
print(frame)
`,
  javascript: (url, body, scheme) => `const response = await fetch(${JSON.stringify(url)}, {
  method: "POST",
  headers: { Authorization: \`${scheme} \${token}\`, "Content-Type": "application/json" },
  body: JSON.stringify(${JSON.stringify(body, null, 2).replaceAll("\n", "\n  ")}),
});
if (!response.ok) throw new Error((await response.json()).detail);
const { fields, data } = await response.json();
const rows = data.map((row) => Object.fromEntries(row.map((cell, index) => [fields[index].name, cell])));
console.table(rows);
`,
  powerQuery: (url, body, scheme) => `let
  Token = "paste your token here",
  Body = Text.ToBinary(${m(JSON.stringify(body))}),
  Response = Web.Contents(${m(url)}, [
    Headers = [Authorization = "${scheme} " & Token, #"Content-Type" = "application/json"],
    Content = Body
  ]),
  Answer = Json.Document(Response),
  Names = List.Transform(Answer[fields], each [name]),
  Rows = Table.FromRows(Answer[data], Names)
in
  Rows
`,
};

const shell = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** A text of Power Query's language: quotes are doubled, and #( begins an escape. */
const m = (text: string): string => `"${text.replaceAll("#(", "#(#)(").replaceAll('"', '""')}"`;

function python(value: unknown, indent = ""): string {
  if (value === null || value === undefined) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  const inner = `${indent}    `;
  if (Array.isArray(value)) {
    return value.length ? `[\n${value.map((each) => `${inner}${python(each, inner)},\n`).join("")}${indent}]` : "[]";
  }
  if (typeof value === "object") {
    const items = Object.entries(value).filter(([, each]) => each !== undefined);
    return items.length ? `{\n${items.map(([key, each]) => `${inner}${JSON.stringify(key)}: ${python(each, inner)},\n`).join("")}${indent}}` : "{}";
  }
  return JSON.stringify(value);
}
