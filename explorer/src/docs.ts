// The API reference: Swagger UI over the gateway's own OpenAPI document.

import SwaggerUI from "swagger-ui-dist/swagger-ui-es-bundle.js";
import "swagger-ui-dist/swagger-ui.css";
import { applyColor, readSettings } from "./settings";

const settings = readSettings();
applyColor(settings.color);
document.title = `${settings.name}: API reference`;

SwaggerUI({
  dom_id: "#app",
  url: new URL("api/reporting/v1/openapi.json", document.baseURI).href,
  deepLinking: true,
  tryItOutEnabled: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: -1,
  persistAuthorization: false,
  validatorUrl: null,
});
