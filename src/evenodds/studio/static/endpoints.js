// The HTTP API, as the server describes it.

import { useAnswer } from "./hooks.js";
import { html, Line } from "./parts.js";
import { t } from "./strings.js";

export function ApiView() {
  const [api, error] = useAnswer("/api/openapi.json");
  const all = Object.entries(api?.paths ?? {}).flatMap(([path, methods]) => Object.entries(methods).map(([method, about]) => ({ path, method, ...about })));
  const kind = (schema = {}) => schema.type || schema.anyOf?.map((one) => one.type).filter((one) => one !== "null").join(" | ") || "";
  return html`<h1>${t("api_title")}</h1><p>${t("api_why")} <a href="/api/openapi.json">openapi.json</a></p><${Line} error=${error} />
    ${all.map((one) => html`<details class="card endpoint" key=${one.method + one.path}><summary><code>${one.method.toUpperCase()} ${one.path}</code> ${one.summary}</summary><p>${one.description}</p>
      ${one.parameters?.length ? html`<table><thead><tr><th>${t("parameters")}</th><th></th><th>${t("meaning")}</th></tr></thead><tbody>${one.parameters.map((p) => html`<tr key=${p.name}><td><code>${p.name}</code></td><td>${kind(p.schema)}</td><td>${p.description || ""}</td></tr>`)}</tbody></table>` : null}
      ${one.requestBody?.content?.["application/json"] ? html`<pre>${JSON.stringify(api.components.schemas[one.requestBody.content["application/json"].schema.$ref?.split("/").pop()]?.properties ?? {}, null, 1)}</pre>` : null}</details>`)}`;
}
