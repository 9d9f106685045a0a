// A run to start: data are looked for and looked at, a recipe is suggested, and the few settings that matter are asked.

import { useEffect, useState } from "./vendor/preact-htm.js";
import { get, path, poll, query, send } from "./api.js";
import { SendButton } from "./buttons.js";
import { useAnswer, useTurns, useWork } from "./hooks.js";
import { Busy, html, Line, shaped, useStored, whole } from "./parts.js";
import { t } from "./strings.js";

const PAGE = 24;

function Thumbnails({ seen }) {
  const [page, setPage] = useState(0), pages = Math.ceil(seen.pictures / PAGE);
  const numbers = Array.from({ length: Math.min(PAGE, seen.pictures - page * PAGE) }, (_, k) => page * PAGE + k);
  return html`<div class="thumbs">${numbers.map((k) => html`<img key=${seen.place + k} loading="lazy" alt=${t("thumbnail", { n: k + 1 })} src=${path("data", "thumbnails", k) + query({ place: seen.place })} onError=${(e) => e.target.classList.add("gone")} />`)}</div>
    ${pages > 1 ? html`<div class="actions"><button class="quiet" disabled=${page === 0} onClick=${() => setPage(page - 1)}>${t("earlier")}</button><span>${t("page_of", { page: page + 1, pages: whole(pages) })}</span>
      <button class="quiet" disabled=${page + 1 >= pages} onClick=${() => setPage(page + 1)}>${t("later")}</button></div>` : null}`;
}

function Checked({ data, recipe }) {
  const [told, setTold] = useState(null), [lost, setLost] = useState(null), state = told?.data === data ? told : null, reading = told?.state === "reading";
  const [begin, busy, error] = useWork(async () => setTold(await send("POST", "/api/data/check", { data, recipe })), data);
  useEffect(() => (reading ? poll("/api/data/check", 0.5, setTold, setLost).end : undefined), [reading]);
  return html`<div class="actions"><${SendButton} class="quiet" title=${t("check_why")} disabled=${busy || state?.state === "reading"} onClick=${begin}>${t("check")}<//></div><${Line} error=${error || lost} />
    ${state?.state === "reading" ? html`<${Busy} text=${t("checking", { done: whole(state.done), of: whole(state.of) })} />` : null}
    ${state?.state === "failed" ? html`<${Line} error=${new Error(state.error)} />` : null}
    ${state?.state === "read" ? html`<p role="status">${t("checked", { n: whole(state.items), shape: shaped(state.shape) })}</p><ul>${state.report.map((line) => html`<li>${line}</li>`)}</ul>
      <ul class="tags">${state.classes.map((one) => html`<li>${one.name} · ${whole(one.count)}</li>`)}</ul>` : null}`;
}

// Nothing is chosen before somebody chooses; the place where data were chosen last is opened again.
function Browser({ onData, chosen, recipes }) {
  const [seen, setSeen] = useState(null), [error, setError] = useState(null), [text, setText] = useState(""), [last, setLast] = useStored("data-place", ""), begin = useTurns();
  const look = async (place, fail = setError) => {
    const counts = begin();
    setError(null);
    try {
      const found = await get("/api/data" + query({ place }));
      if (!counts()) return;
      setSeen(found); setText((now) => (now === text ? found.place : now)); // what is typed meanwhile stays
      if (found.data) setLast(found.place);
      onData({ data: found.data ?? "", recipe: found.recipe ?? "", reason: found.reason ?? "", columns: found.rows?.[0] ?? [] });
    } catch (wrong) { if (counts()) fail(wrong); }
  };
  useEffect(() => { look(last, () => look("")); }, []);
  const own = [...new Set(recipes.map((one) => one.data).filter(Boolean))];
  return html`<section><h2>${t("where_data")}</h2><form class="fields" onSubmit=${(e) => { e.preventDefault(); look(text); }}><label class="long">${t("data_path")}<input value=${text} onInput=${(e) => setText(e.target.value)} spellcheck=${false} /></label><button>${t("look")}</button>
      <label>${t("built_in")}<select value=${own.includes(chosen) ? chosen : ""} onChange=${(e) => e.target.value && onData({ data: e.target.value, recipe: recipes.find((one) => one.data === e.target.value).name, reason: "", columns: [] })}>
        <option value="">${t("none")}</option>${own.map((name) => html`<option value=${name}>${name}</option>`)}</select></label></form><${Line} error=${error} />
    ${seen ? html`<ul class="tags">${seen.above ? html`<li><button class="link" onClick=${() => look(seen.above)}>↑ ${t("above")}</button></li>` : null}
        ${seen.folders.map((one) => html`<li key=${one.place}><button class="link" onClick=${() => look(one.place)}>${one.name}/</button></li>`)}${seen.files.map((one) => html`<li key=${one.place}><button class="link" onClick=${() => look(one.place)}>${one.name}</button></li>`)}</ul>
      ${seen.items ? html`<p><b>${t("items", { n: whole(seen.items), shape: shaped(seen.shape) })}</b>${seen.pictures === undefined ? "" : ` · ${t("pictures_here", { n: whole(seen.pictures), others: whole(seen.others) })}`}</p>
        ${seen.classes?.length ? html`<ul class="tags">${seen.classes.map((one) => html`<li key=${one.name}>${one.name} · ${whole(one.count)}</li>`)}</ul>` : null}` : null}
      ${seen.pictures ? html`<${Thumbnails} key=${seen.place} seen=${seen} />` : null}${seen.rows?.length ? html`<div class="wide" tabindex="0" role="region" aria-label=${t("first_rows")}><table><thead><tr>${seen.rows[0].map((name) => html`<th>${name}</th>`)}</tr></thead>
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
  const [choice, setChoice] = useState({ data: "", columns: [], label: "", recipe: "digits", suggested: "", reason: "" }), { data, columns, label, recipe } = choice;
  const [settings, setSettings] = useState({}), [budget, setBudget] = useState(""), [seed, setSeed] = useState("0"), [others, setOthers] = useState("");
  const [listed, unlisted] = useAnswer("/api/recipes"), [rows, unknown] = useAnswer("/api/settings" + query({ recipe })), recipes = listed ?? [];
  // `choice` is that of when the data were asked for: what was chosen by hand since then stays.
  const take = ({ recipe: suggested, ...found }) => setChoice((now) => (now.data !== choice.data ? now : { ...found, label: "", suggested, recipe: suggested && now.recipe === choice.recipe ? suggested : now.recipe }));
  const draws = plain(rows?.find((row) => row.key === "task")?.value) === "generate"; // and, with a class, by class
  const filled = { task: draws && label ? "condition" : "", "data.label": label, ...settings };
  const [begin, busy, error] = useWork(async () => {
    const lines = others.split("\n").map((line) => line.trim()).filter(Boolean).map((line) => [line.split("=")[0].trim(), line.slice(line.indexOf("=") + 1).trim()]);
    const written = Object.fromEntries(Object.entries(filled).filter(([, value]) => value.trim() !== "").concat(lines));
    await send("POST", "/api/runs", { recipe, data, budget, seed: seed === "" ? null : Number(seed), settings: written });
    return "#/";
  });
  const fields = (some) => some.map((row) => html`<${Field} key=${row.key} row=${row} value=${filled[row.key] ?? ""} onInput=${(value) => setSettings({ ...settings, [row.key]: value })} />`);
  const brought = recipes.find((one) => one.name === recipe)?.data;
  const main = rows?.filter((row) => row.main) ?? [], more = rows?.filter((row) => !row.main) ?? [];
  return html`<h1>${t("new_run")}</h1><${Browser} onData=${take} chosen=${data} recipes=${recipes} />
    <form onSubmit=${(event) => { event.preventDefault(); begin(); }}><section><h2>${t("recipe")}</h2><p class="break">${t("data")}: <b>${data || (brought ? t("data_brought", { name: brought }) : t("data_none"))}</b></p>
      <div class="fields"><label>${t("recipe")}<select value=${recipe} onChange=${(e) => setChoice({ ...choice, recipe: e.target.value })}>${recipes.map((one) => html`<option value=${one.name}>${one.name}</option>`)}</select></label>
        <label>${t("budget")}<input value=${budget} placeholder="10m" onInput=${(e) => setBudget(e.target.value.trim())} /></label><label>${t("seed")}<input type="number" min="0" value=${seed} onInput=${(e) => setSeed(e.target.value)} /></label></div>
      ${columns.length ? html`<label class="stacked">${t("label_column")}<select value=${label} onChange=${(e) => setChoice({ ...choice, label: e.target.value })}><option value="">${t("none")}</option>${columns.map((name) => html`<option value=${name}>${name}</option>`)}</select></label>` : null}
      <p>${recipes.find((one) => one.name === recipe)?.note}</p>${choice.reason ? html`<p class="muted">${t("suggested", { recipe: choice.suggested, reason: choice.reason })}</p>` : null}<p class="muted">${t("budget_why")}</p></section>
    <section><h2>${t("main_settings")}</h2>${rows || unknown ? null : html`<${Busy} text=${t("loading")} />`}<div class="settings">${fields(main)}</div><details><summary>${t("more_settings", { n: rows ? more.length : "…" })}</summary><div class="settings">${fields(more)}</div>
      <label>${t("other_settings")}<textarea value=${others} placeholder="generator.width=32" onInput=${(e) => setOthers(e.target.value)} spellcheck=${false}></textarea></label></details></section>
    <${Line} error=${error || unknown || unlisted} /><div class="actions"><${SendButton} class="main" disabled=${busy || !rows || !(data || brought)}>${t("start_run")}<//></div></form>`;
}
