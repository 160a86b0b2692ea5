// The API reference: Swagger UI over the gateway's own OpenAPI document, with the documented example ready to send.

import SwaggerUI from "swagger-ui-dist/swagger-ui-es-bundle.js";
import "swagger-ui-dist/swagger-ui.css";
import { COOKBOOK_DATA_SET } from "./cookbook";
import { loadOpenApi } from "./offer";
import { applyColor, readSettings } from "./settings";

declare const DOCUMENTED_EXAMPLE: Record<string, unknown>;

const settings = readSettings();
applyColor(settings.color);
document.title = `${settings.name}: API reference`;

loadOpenApi().then((spec) => {
  const post = spec.paths[Object.keys(spec.paths).find((path) => path.endsWith(`}/${COOKBOOK_DATA_SET}`)) ?? ""]?.["post"];
  const content = post?.["requestBody"]?.content["application/json"];
  if (content) content.examples = { documented: { summary: "The documented example", value: DOCUMENTED_EXAMPLE }, ...content.examples };
  // Behind a path prefix the API is where this page is, and not where the document says.
  const servers = [{ url: new URL(".", document.baseURI).href.replace(/\/$/, "") }];
  SwaggerUI({
    dom_id: "#app",
    spec: { ...spec, servers },
    deepLinking: true,
    tryItOutEnabled: true,
    displayRequestDuration: true,
    defaultModelsExpandDepth: -1,
    persistAuthorization: false,
    validatorUrl: null,
  });
});
