// Who is signed in. The token is in memory and in this tab's sessionStorage, and nowhere else.

import { ask } from "./api";
import { dataSetsOf, listsOrganizations, loadOpenApi, type OpenApi } from "./offer";

const KEY = "gateway-token";

export interface Organization {
  id: string;
  name: string | null;
  dataSets: string[];
}

export interface Session {
  token: string;
  openapi: OpenApi;
  organizations: Organization[];
}

interface Listing {
  organizations: { id: string; name?: string | null; data_sets: (string | { name: string })[] }[];
}

export const rememberedToken = (): string | null => sessionStorage.getItem(KEY);

export function forgetToken(): void {
  sessionStorage.removeItem(KEY);
}

/** Sign in, or throw the `Failure` that says why not. `organization` is for gateways that list none. */
export async function signIn(token: string, organization: string | null): Promise<Session> {
  const openapi = await loadOpenApi();
  const organizations = listsOrganizations(openapi) ? await list(token, openapi) : await only(token, organization, openapi);
  sessionStorage.setItem(KEY, token);
  return { token, openapi, organizations };
}

async function list(token: string, openapi: OpenApi): Promise<Organization[]> {
  const { body } = await ask<Listing>("orgs", { token });
  const known = dataSetsOf(openapi);
  return body.organizations.map(({ id, name, data_sets }) => ({
    id,
    name: name ?? null,
    dataSets: data_sets.map((each) => (typeof each === "string" ? each : each.name)).filter((each) => known.includes(each)),
  }));
}

async function only(token: string, organization: string | null, openapi: OpenApi): Promise<Organization[]> {
  const dataSets = dataSetsOf(openapi);
  await ask(`orgs/${encodeURIComponent(organization ?? "")}/${dataSets[0]}`, { token });
  return [{ id: organization ?? "", name: null, dataSets }];
}
