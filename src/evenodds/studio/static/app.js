// The page: the token is exchanged, then the fragment of the address says which view is shown.

import { render, useEffect, useState } from "./vendor/preact-htm.js";
import { Failure, send } from "./api.js";
import { ApiView } from "./endpoints.js";
import { html, Line } from "./parts.js";
import { RunView } from "./run.js";
import { RunsView } from "./runs.js";
import { StartView } from "./start.js";
import { language, setLanguage, t } from "./strings.js";

const route = () => location.hash.replace(/^#\/?/, "").split("/").map(decodeURIComponent);

function theme(name) {
  if (name !== undefined) localStorage.setItem("theme", name);
  const wanted = localStorage.getItem("theme") || "auto";
  if (wanted === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = wanted;
  return wanted;
}

function Page() {
  const [at, setAt] = useState(route());
  const [, again] = useState(0);
  useEffect(() => {
    const moved = () => { setAt(route()); document.getElementById("content")?.focus({ preventScroll: true }); scrollTo(0, 0); };
    addEventListener("hashchange", moved);
    return () => removeEventListener("hashchange", moved);
  }, []);
  document.documentElement.lang = language();
  const [view, name, part] = at;
  document.title = `${view === "run" ? `${name} · ` : view === "new" ? `${t("new_run")} · ` : ""}evenodds studio`;
  const link = (to, text, here) => html`<a href=${to} aria-current=${here ? "page" : undefined}>${text}</a>`;
  return html`
    <a class="skip" href="#content" onClick=${(e) => { e.preventDefault(); document.getElementById("content").focus(); }}>${t("skip")}</a>
    <header><a class="brand" href="#/">evenodds <b>studio</b></a>
      <nav aria-label=${t("main_menu")}>${link("#/", t("runs"), view === "" || view === "run")}${link("#/new", t("new_run"), view === "new")}${link("#/api", t("api"), view === "api")}</nav>
      <div class="choices">
        <select aria-label=${t("language")} value=${language()} onChange=${(e) => { setLanguage(e.target.value); again((n) => n + 1); }}>
          <option value="en">English</option><option value="zh">中文</option></select>
        <select aria-label=${t("theme")} value=${theme()} onChange=${(e) => { theme(e.target.value); again((n) => n + 1); }}>
          <option value="auto">${t("theme_auto")}</option><option value="light">${t("theme_light")}</option><option value="dark">${t("theme_dark")}</option></select>
      </div></header>
    <main id="content" tabindex="-1">${
      view === "run" ? html`<${RunView} key=${name} run=${name} part=${part || "overview"} />`
      : view === "new" ? html`<${StartView} />`
      : view === "api" ? html`<${ApiView} />`
      : html`<${RunsView} />`}</main>`;
}

async function open() {
  theme();
  const root = document.getElementById("app");
  const token = /^#token=(.+)$/.exec(location.hash);
  try {
    if (token) {
      history.replaceState(null, "", "/#/");
      await send("POST", "/api/session", { token: decodeURIComponent(token[1]) });
    }
    render(html`<${Page} />`, root);
  } catch (error) {
    render(html`<main><${Line} error=${error instanceof Failure ? error : new Error(t("lost"))} /></main>`, root);
  }
}

open();
