// Builds the explorer and the API reference into gateway/web/pages: file names contain the hash of their content.
import { build } from "esbuild";
import { createHash } from "node:crypto";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { gzipSync } from "node:zlib";

const OUT = join(import.meta.dirname, "..", "gateway", "web", "pages");
const MOST_FIRST_LOAD = 200_000;

const { outputFiles } = await build({
  absWorkingDir: import.meta.dirname,
  entryPoints: { explore: "src/main.tsx", docs: "src/docs.ts" },
  entryNames: "[name]-[hash]",
  outdir: OUT,
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  jsx: "automatic",
  jsxImportSource: "preact",
  legalComments: "none",
  write: false,
  logLevel: "warning",
  // Swagger UI embeds its own images.
  loader: { ".svg": "dataurl", ".png": "dataurl" },
});

const files = new Map(outputFiles.map((file) => [basename(file.path), Buffer.from(file.contents)]));
for (const asset of ["icon.svg"]) {
  const content = await readFile(join(import.meta.dirname, "src", asset));
  const hash = createHash("sha256").update(content).digest("hex").slice(0, 8).toUpperCase();
  files.set(asset.replace(".", `-${hash}.`), content);
}

for (const page of ["explore", "docs"]) {
  const find = (name, ending) => [...files.keys()].find((file) => file.startsWith(`${name}-`) && file.endsWith(ending));
  const template = await readFile(join(import.meta.dirname, "src", `${page}.html`), "utf-8");
  const html = template.replaceAll(/\{(\w+)(\.\w+)\}/g, (_, name, ending) => `explore/${find(name, ending)}`);
  files.set(`${page}.html`, Buffer.from(html));
}

const first = [...files].filter(([name]) => name.startsWith("explore") || name.startsWith("icon"));
const bytes = first.reduce((sum, [, content]) => sum + gzipSync(content).length, 0);
if (bytes > MOST_FIRST_LOAD) {
  console.error(`The explorer's first load is ${bytes} bytes compressed; at most ${MOST_FIRST_LOAD} are allowed.`);
  process.exit(1);
}

await rm(OUT, { recursive: true, force: true });
await mkdir(OUT, { recursive: true });
for (const [name, content] of files) await writeFile(join(OUT, name), content);
console.log(`The explorer is built: ${Math.round(bytes / 1000)} kB compressed on first load.`);
