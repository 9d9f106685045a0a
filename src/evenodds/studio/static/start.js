// A run to start: data are looked for and looked at, a recipe is suggested, and the few settings that matter are asked.

import { useEffect, useState } from "./vendor/preact-htm.js";
import { get, path, query, send } from "./api.js";
import { Busy, html, Line, shaped, useStored, whole } from "./parts.js";
import { t } from "./strings.js";

const PAGE = 24;

function Thumbnails({ seen }) {
  const [page, setPage] = useState(0), pages = Math.ceil(seen.pictures / PAGE);
  useEffect(() => setPage(0), [seen.place]);
  const numbers = Array.from({ length: Math.min(PAGE, seen.pictures - page * PAGE) }, (_, k) => page * PAGE + k);
  return html`<div class="thumbs">${numbers.map((k) => html`<img key=${seen.place + k} loading="lazy" alt=${t("thumbnail", { n: k + 1 })} src=${path("data", "thumbnails", k) + query({ place: seen.place })} onError=${(e) => e.target.classList.add("gone")} />`)}</div>
    ${pages > 1 ? html`<div class="actions"><button class="quiet" disabled=${page === 0} onClick=${() => setPage(page - 1)}>${t("earlier")}</button><span>${t("page_of", { page: page + 1, pages: whole(pages) })}</span>
      <button class="quiet" disabled=${page + 1 >= pages} onClick=${() => setPage(page + 1)}>${t("later")}</button></div>` : null}`;
}

function Checked({ data, recipe }) {
  const [state, setState] = useState(null), [error, setError] = useState(null);
  useEffect(() => setState(null), [data]);
  useEffect(() => {
    if (state?.state !== "reading") return;
    const timer = setTimeout(() => get("/api/data/check").then(setState).catch(setError), 500);
    return () => clearTimeout(timer);
  }, [state]);
  const begin = () => { setError(null); send("POST", "/api/data/check", { data, recipe }).then(setState).catch(setError); };
  return html`<div class="actions"><button class="quiet" title=${t("check_why")} disabled=${state?.state === "reading"} onClick=${begin}>${t("check")}</button></div><${Line} error=${error} />
    ${state?.state === "reading" ? html`<${Busy} text=${t("checking", { done: whole(state.done), of: whole(state.of) })} />` : null}
    ${state?.state === "failed" ? html`<${Line} error=${new Error(state.error)} />` : null}
    ${state?.state === "read" ? html`<p role="status">${t("checked", { n: whole(state.items), shape: shaped(state.shape) })}</p><ul>${state.report.map((line) => html`<li>${line}</li>`)}</ul>
      <ul class="tags">${state.classes.map((one) => html`<li>${one.name} · ${whole(one.count)}</li>`)}</ul>` : null}`;
}

// Nothing is chosen before somebody chooses; the place where data were chosen last is opened again.
function Browser({ onData, chosen, recipes }) {
  const [seen, setSeen] = useState(null), [error, setError] = useState(null), [text, setText] = useState(""), [last, setLast] = useStored("data-place", "");
  const shown = (found) => {
    setSeen(found); setText(found.place);
    if (found.data) setLast(found.place);
    onData({ data: found.data ?? "", recipe: found.recipe ?? "", reason: found.reason ?? "", columns: found.rows?.[0] ?? [] });
  };
  const look = (place) => { setError(null); get("/api/data" + query({ place })).then(shown).catch(setError); };
  useEffect(() => { get("/api/data" + query({ place: last })).then(shown).catch(() => look("")); }, []);
  const own = [...new Set(recipes.map((one) => one.data).filter(Boolean))];
  return html`<section><h2>${t("where_data")}</h2><form class="fields" onSubmit=${(e) => { e.preventDefault(); look(text); }}><label class="long">${t("data_path")}<input value=${text} onInput=${(e) => setText(e.target.value)} spellcheck=${false} /></label><button>${t("look")}</button>
      <label>${t("built_in")}<select value=${own.includes(chosen) ? chosen : ""} onChange=${(e) => e.target.value && onData({ data: e.target.value, recipe: recipes.find((one) => one.data === e.target.value).name, reason: "" })}>
        <option value="">${t("none")}</option>${own.map((name) => html`<option value=${name}>${name}</option>`)}</select></label></form><${Line} error=${error} />
    ${seen ? html`<ul class="tags">${seen.above ? html`<li><button class="link" onClick=${() => look(seen.above)}>↑ ${t("above")}</button></li>` : null}
        ${seen.folders.map((one) => html`<li key=${one.place}><button class="link" onClick=${() => look(one.place)}>${one.name}/</button></li>`)}${seen.files.map((one) => html`<li key=${one.place}><button class="link" onClick=${() => look(one.place)}>${one.name}</button></li>`)}</ul>
      ${seen.items ? html`<p><b>${t("items", { n: whole(seen.items), shape: shaped(seen.shape) })}</b>${seen.pictures === undefined ? "" : ` · ${t("pictures_here", { n: whole(seen.pictures), others: whole(seen.others) })}`}</p>
        ${seen.classes?.length ? html`<ul class="tags">${seen.classes.map((one) => html`<li key=${one.name}>${one.name} · ${whole(one.count)}</li>`)}</ul>` : null}` : null}
      ${seen.pictures ? html`<${Thumbnails} seen=${seen} />` : null}${seen.rows?.length ? html`<div class="wide" tabindex="0" role="region" aria-label=${t("first_rows")}><table><thead><tr>${seen.rows[0].map((name) => html`<th>${name}</th>`)}</tr></thead>
        <tbody>${seen.rows.slice(1).map((row) => html`<tr>${row.map((cell) => html`<td>${cell}</td>`)}</tr>`)}</tbody></table></div>` : null}
      ${seen.data ? html`<${Checked} data=${seen.place} recipe=${seen.recipe} />` : html`<p class="muted">${t(seen.large ? "too_large" : seen.looked ? "no_pictures" : "choose_data")}</p>`}` : html`<${Busy} text=${t("loading")} />`}</section>`;
}

const plain = (value) => (typeof value === "object" && value !== null ? value.name ?? JSON.stringify(value) : String(value ?? "none"));

function Field({ row, value, onInput }) {
  const list = row.words.length ? `words-${row.key}` : undefined;
  return html`<label class="field"><span><code>${row.key}</code></span><input value=${value} list=${list} placeholder=${t("as_recipe", { value: plain(row.value) })} onInput=${(e) => onInput(e.target.value)} spellcheck=${false} />
    ${list ? html`<datalist id=${list}>${row.words.map((word) => html`<option value=${word} />`)}</datalist>` : null}<small>${row.note}</small></label>`;
}

export function StartView() {
  const [chosen, setChosen] = useState({ data: "", recipe: "digits", reason: "" }), [recipe, setRecipe] = useState("digits"), [recipes, setRecipes] = useState([]), [rows, setRows] = useState([]);
  const [settings, setSettings] = useState({}), [budget, setBudget] = useState(""), [seed, setSeed] = useState("0"), [error, setError] = useState(null), [busy, setBusy] = useState(false), [others, setOthers] = useState("");
  useEffect(() => { get("/api/recipes").then(setRecipes).catch(setError); }, []);
  useEffect(() => { get("/api/settings" + query({ recipe })).then(setRows).catch(setError); }, [recipe]);
  const take = (found) => { setChosen(found); setSettings((before) => ({ ...before, "data.label": "" })); if (found.recipe) setRecipe(found.recipe); };
  const draws = plain(rows.find((row) => row.key === "task")?.value) === "generate"; // and, with a class, by class
  const filled = { task: draws && settings["data.label"] ? "condition" : "", ...settings };
  const begin = async (event) => {
    event.preventDefault();
    setBusy(true); setError(null);
    const lines = others.split("\n").map((line) => line.trim()).filter(Boolean).map((line) => [line.split("=")[0].trim(), line.slice(line.indexOf("=") + 1).trim()]);
    const written = Object.fromEntries(Object.entries(filled).filter(([, value]) => value.trim() !== "").concat(lines));
    try {
      await send("POST", "/api/runs", { recipe, data: chosen.data, budget, seed: seed === "" ? null : Number(seed), settings: written });
      location.hash = "#/";
    } catch (wrong) { setError(wrong); }
    setBusy(false);
  };
  const fields = (some) => some.map((row) => html`<${Field} key=${row.key} row=${row} value=${filled[row.key] ?? ""} onInput=${(value) => setSettings({ ...settings, [row.key]: value })} />`);
  const brought = recipes.find((one) => one.name === recipe)?.data;
  const main = rows.filter((row) => row.main), more = rows.filter((row) => !row.main);
  return html`<h1>${t("new_run")}</h1><${Browser} onData=${take} chosen=${chosen.data} recipes=${recipes} />
    <form onSubmit=${begin}><section><h2>${t("recipe")}</h2><p class="break">${t("data")}: <b>${chosen.data || (brought ? t("data_brought", { name: brought }) : t("data_none"))}</b></p>
      <div class="fields"><label>${t("recipe")}<select value=${recipe} onChange=${(e) => setRecipe(e.target.value)}>${recipes.map((one) => html`<option value=${one.name}>${one.name}</option>`)}</select></label>
        <label>${t("budget")}<input value=${budget} placeholder="10m" onInput=${(e) => setBudget(e.target.value.trim())} /></label><label>${t("seed")}<input type="number" min="0" value=${seed} onInput=${(e) => setSeed(e.target.value)} /></label></div>
      ${chosen.columns?.length ? html`<label class="stacked">${t("label_column")}<select value=${settings["data.label"] ?? ""} onChange=${(e) => setSettings({ ...settings, "data.label": e.target.value })}><option value="">${t("none")}</option>${chosen.columns.map((name) => html`<option value=${name}>${name}</option>`)}</select></label>` : null}
      <p>${recipes.find((one) => one.name === recipe)?.note}</p>${chosen.reason ? html`<p class="muted">${t("suggested", chosen)}</p>` : null}<p class="muted">${t("budget_why")}</p></section>
    <section><h2>${t("main_settings")}</h2><div class="settings">${fields(main)}</div><details><summary>${t("more_settings", { n: more.length })}</summary><div class="settings">${fields(more)}</div>
      <label>${t("other_settings")}<textarea value=${others} placeholder="generator.width=32" onInput=${(e) => setOthers(e.target.value)} spellcheck=${false}></textarea></label></details></section>
    <${Line} error=${error} /><div class="actions"><button class="main" disabled=${busy || !(chosen.data || brought)}>${t("start_run")}</button></div></form>`;
}
