// Runs a Google Apps Script with stand-ins for the services that the recipe uses.
// apps_script.mjs <program> <function> prints the values of each sheet as JSON.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import vm from "node:vm";

class Sheet {
  values = [];

  clearContents() {
    this.values = [];
  }

  getRange(row, column, rows, columns) {
    if (row !== 1 || column !== 1) throw new Error("Only whole sheets are known here");
    return {
      setValues: (values) => {
        // As Google does: the range and the values must have the same size.
        if (values.length !== rows || values.some((each) => each.length !== columns)) throw new Error("Wrong size");
        this.values = values;
      },
    };
  }
}

/** UrlFetchApp blocks, which Node cannot: a process of its own does. */
const FETCH = `
const [url, options] = JSON.parse(process.argv[1]);
const response = await fetch(url, options);
console.log(JSON.stringify({ status: response.status, text: await response.text() }));
`;

function fetchNow(url, { method, contentType, payload, headers, muteHttpExceptions }) {
  if (!muteHttpExceptions) throw new Error("The recipe reads errors itself");
  const options = { method, body: payload, headers: { ...headers, "Content-Type": contentType } };
  const found = JSON.parse(
    execFileSync(process.execPath, ["--input-type=module", "-e", FETCH, "--", JSON.stringify([url, options])], { encoding: "utf-8" }),
  );
  return { getResponseCode: () => found.status, getContentText: () => found.text };
}

const sheets = {};
const services = {
  PropertiesService: { getScriptProperties: () => ({ getProperty: (name) => process.env[name] ?? null }) },
  SpreadsheetApp: {
    getActive: () => ({
      getSheetByName: (name) => sheets[name] ?? null,
      insertSheet: (name) => (sheets[name] = new Sheet()),
    }),
  },
  UrlFetchApp: { fetch: fetchNow },
};
const [, , program, start] = process.argv;
vm.runInNewContext(`${readFileSync(program, "utf-8")}\n${start}();`, services);
console.log(JSON.stringify(Object.fromEntries(Object.entries(sheets).map(([name, sheet]) => [name, sheet.values]))));
