// The requests that the page sends. The token is an argument of each and is never part of a URL.

export interface Dimension {
  name: string;
  description: string;
  type: "string" | "integer" | "number";
  multi_valued: boolean;
  allowed_values: string[] | null;
  aggregations: string[];
  /** It can be aggregated, but not grouped by or filtered. */
  aggregations_only?: boolean;
}

export interface Description {
  name: string;
  title: string;
  description: string;
  dimensions: Dimension[];
  aggregations: { type: string; description: string; result: string; fields: string[] }[];
  granularities: string[];
  filters: string[];
  limits: Record<string, number>;
  time_range: { first: string; last: string } | null;
  advice?: { dimension: string; message: string }[];
  [key: string]: unknown;
}

export type Cell = string | number | null;
export interface Warning {
  code?: string;
  message: string;
  pointer?: string;
}

export interface Answer {
  fields: { name: string; type: "dimension" | "metric" }[];
  data: Cell[][];
  totals?: Cell[];
  other?: Cell[][];
  warnings?: Warning[];
  interval?: { start: string; end: string };
  freshness?: { complete_until: string; partial: string[] };
}

export interface Explanation {
  report: Record<string, unknown>;
  size: { buckets: { count: number; limit: number }; rows: { at_most: number | null; limit: number } };
  warnings: (Warning | string)[];
  queries: Record<string, unknown>;
}

export interface FieldProblem {
  pointer: string;
  message: string;
}

/** A request that failed: an error of the gateway, or no usable response (status 0). */
export class Failure extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    readonly detail: string,
    readonly requestId: string | null,
    readonly retryAfter: number | null,
    readonly problems: FieldProblem[],
  ) {
    super(detail);
  }
}

/** Any error as a failure that can be shown. */
export const asFailure = (error: unknown): Failure =>
  error instanceof Failure ? error : new Failure(0, "page_error", error instanceof Error ? error.message : String(error), null, null, []);

export interface Reply<Body> {
  body: Body;
  requestId: string | null;
  milliseconds: number;
  bytes: number;
}

export const API = new URL("api/reporting/v1/", document.baseURI);

export const pathOf = (organization: string, dataSet: string): string =>
  `orgs/${encodeURIComponent(organization)}/${encodeURIComponent(dataSet)}`;

export const urlOf = (organization: string, dataSet: string): string => new URL(pathOf(organization, dataSet), API).href;

export type Scheme = "Token" | "Bearer";

/** How a token is sent: an API token, or an access token of an OAuth2 provider (a JWT). */
export const schemeOf = (token: string): Scheme => (token.startsWith("eyJ") ? "Bearer" : "Token");

export const authorization = (token: string): string => `${schemeOf(token)} ${token}`;

interface Options {
  token?: string;
  body?: unknown;
  signal?: AbortSignal;
  accept?: string;
}

export async function send(path: string, options: Options = {}): Promise<Response> {
  const headers: Record<string, string> = { Accept: options.accept ?? "application/json" };
  if (options.token) headers["Authorization"] = authorization(options.token);
  if (options.body !== undefined) headers["Content-Type"] = "application/json";
  let response: Response;
  try {
    response = await fetch(new URL(path, API), {
      method: options.body === undefined ? "GET" : "POST",
      headers,
      body: options.body === undefined ? null : JSON.stringify(options.body),
      signal: options.signal ?? null,
      credentials: "omit",
      cache: "no-store",
    });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw lost("no_response", null);
  }
  if (!response.ok) throw await failureOf(response);
  return response;
}

const lost = (code: string, requestId: string | null): Failure => new Failure(0, navigator.onLine ? code : "offline", "", requestId, null, []);

/** The body of a response, in the form that `read` gives it. */
export async function bodyOf<Body>(response: Response, read: (response: Response) => Promise<Body>, signal?: AbortSignal): Promise<Body> {
  try {
    return await read(response);
  } catch (error) {
    if (signal?.aborted) throw error;
    throw lost("incomplete_response", response.headers.get("X-Request-Id"));
  }
}

export async function ask<Body>(path: string, options: Options = {}): Promise<Reply<Body>> {
  const began = performance.now();
  const response = await send(path, options);
  const text = await bodyOf(response, (each) => each.text(), options.signal);
  const requestId = response.headers.get("X-Request-Id");
  const body = parseObject(text);
  if (!body) throw new Failure(0, "unusable_response", "", requestId, null, []);
  return {
    body: body as Body,
    requestId,
    milliseconds: performance.now() - began,
    bytes: text.length,
  };
}

/** The JSON object that a text is; null if it is something else. */
function parseObject(text: string): Record<string, unknown> | null {
  try {
    const found: unknown = JSON.parse(text);
    return typeof found === "object" && !Array.isArray(found) ? (found as Record<string, unknown> | null) : null;
  } catch {
    return null;
  }
}

async function failureOf(response: Response): Promise<Failure> {
  const wait = response.headers.get("Retry-After");
  // Something between the browser and the gateway may have responded.
  const text = await response.text().catch(() => "");
  const body = (parseObject(text) ?? {}) as { code?: string; detail?: string; request_id?: string; errors?: FieldProblem[] };
  return new Failure(
    response.status,
    body.code ?? `http_${response.status}`,
    body.detail ?? "",
    body.request_id ?? response.headers.get("X-Request-Id"),
    wait === null || Number.isNaN(Number(wait)) ? null : Number(wait),
    Array.isArray(body.errors) ? body.errors : [],
  );
}
