// Who is signed in. The token is in memory and in this tab's sessionStorage, and nowhere else.

import { ask } from "./api";
import { loadOpenApi, type OpenApi } from "./offer";

const KEY = "gateway-token";

export interface Organization {
  id: string;
  name: string;
  dataSets: string[];
}

export interface Session {
  token: string;
  openapi: OpenApi;
  organizations: Organization[];
}

interface Listing {
  organizations: { id: string; name: string; data_sets: { name: string }[] }[];
}

export const rememberedToken = (): string | null => sessionStorage.getItem(KEY);

export function forgetToken(): void {
  sessionStorage.removeItem(KEY);
}

/** Sign in, or throw the `Failure` that says why not. */
export async function signIn(token: string): Promise<Session> {
  const [openapi, { body }] = await Promise.all([loadOpenApi(), ask<Listing>("orgs", { token })]);
  sessionStorage.setItem(KEY, token);
  const organizations = body.organizations.map(({ id, name, data_sets }) => ({ id, name, dataSets: data_sets.map((each) => each.name) }));
  return { token, openapi, organizations };
}
