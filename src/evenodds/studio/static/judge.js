// How good a run is: its scores, another run beside it, training images beside its samples, trials, the report.

import { useState } from "./vendor/preact-htm.js";
import { get, path, query, tab } from "./api.js";
import { SendButton } from "./buttons.js";
import { useAnswer, useOthers } from "./hooks.js";
import { Busy, figure, fromText, html, Line, Shown, Working } from "./parts.js";
import { t } from "./strings.js";

const PAIRS = [12, 24, 48];
const percent = (share) => `${figure(100 * share)} %`;
const between = (low, high) => (low === null || low === undefined ? "" : `${figure(low)} – ${figure(high)}`);

function Table({ label, head, rows }) {
  return html`<div class="wide" tabindex="0" role="region" aria-label=${label}><table><thead><tr>${head.map((word) => html`<th>${word}</th>`)}</tr></thead>
    <tbody>${rows.map((row) => html`<tr key=${row[0]}>${row.map((cell) => html`<td>${cell}</td>`)}</tr>`)}</tbody></table></div>`;
}

function Copies({ copies }) {
  if (copies.refused) return html`<p class="muted">${copies.refused}</p>`;
  if (copies.share === undefined) return null;
  return html`<h3>${t("copies")}</h3><p><b>${copies.verdict}</b>: ${t("copies_share", { share: percent(copies.share), low: percent(copies.low), high: percent(copies.high), expected: percent(copies.expected) })}</p>
    ${copies.suspects.length ? html`<details><summary>${t("copies_listed", { n: copies.suspects.length })}</summary><${Table} label=${t("copies")} head=${[t("sample"), t("training_item"), t("nearness")]}
      rows=${copies.suspects.map((one) => [one.sample, one.file ?? one.training, figure(one.ratio)])} /></details>` : null}`;
}

function Scores({ run }) {
  const [found, error] = useAnswer(run.evaluated ? path("runs", run.run, "evaluation") : null, `${run.evaluated}-${run.changed}`);
  if (!found) return html`<${Line} error=${error} />`;
  return html`<p class=${found.sound ? "" : "error"}><b>${found.verdict[0]}</b></p>${found.verdict.slice(1).map((line) => html`<p>${line}</p>`)}
    <${Table} label=${t("scores")} head=${[t("score"), t("value"), t("interval"), t("floor"), t("better")]}
      rows=${found.scores.map((one) => [one.title, one.value === null ? html`<span class="muted">${one.refused || "–"}</span>` : html`<b>${figure(one.value)}</b>`, between(one.low, one.high), figure(one.floor), t(`better_${one.better}`)])} />
    <p class="muted">${t("floor_why")}</p><${Copies} copies=${found.copies} />`;
}

function Against({ run }) {
  const [names, unlisted] = useOthers(run), [other, setOther] = useState(""), [ranked, error] = useAnswer(other ? "/api/compare" + query({ first: run, second: other }) : null);
  const entry = (score, name) => { const one = score.entries.find((one) => one.name === name); return one ? `${figure(one.value)} (${between(one.low, one.high)})` : "–"; };
  const better = (score) => (score.entries.some((one, k) => k > 0 && !one.with_the_best) ? score.entries[0].name : t("no_difference"));
  return html`<section><div class="head"><h2>${t("compare_reports")}</h2><label>${t("with_run")} <select value=${other} onChange=${(e) => setOther(e.target.value)}><option value="">${t("nobody")}</option>${names.map((name) => html`<option value=${name}>${name}</option>`)}</select></label></div>
    <p class="muted">${t("compare_why")}</p><${Line} error=${unlisted || error} />${ranked ? html`<${Table} label=${t("compare_reports")} head=${[t("score"), run, other, t("ahead")]}
      rows=${ranked.scores.map((score) => [score.title, entry(score, run), entry(score, other), better(score)])} />
      ${Object.entries(ranked.left_out).map(([name, why]) => html`<p class="error">${name}: ${why}</p>`)}` : null}</section>`;
}

function Pair({ pair, seed }) {
  const [sample, training] = pair.blobs, name = pair.file ?? t("training_item");
  return html`<figure class=${`pair ${pair.suspected ? "suspected" : ""}`}><div><${Shown} blob=${sample} class="big" label=${t("sample_number", { n: pair.sample, seed })} />
    <${Shown} blob=${training} class="big" label=${t("nearest_of", { n: pair.sample, name })} /></div>
    <figcaption><span class="break">${name}</span><small>${t("nearness")} ${figure(pair.ratio)}${pair.suspected ? html` · <b class="error">${t("suspected")}</b>` : null}</small></figcaption></figure>`;
}

async function pairs(url) {
  const found = await get(url);
  return { ...found, pairs: found.pairs.map((one) => ({ ...one, blobs: one.pictures.map(fromText) })) };
}

// Samples, each beside the training image nearest to it. It is asked for: the data are read.
function Resembling({ run }) {
  const [asked, setAsked] = useState(null), url = asked && path("runs", run, "resembling") + query({ ...asked, slot: `${tab}-pairs` });
  const [found, error] = useAnswer(url, 0, pairs);
  const change = (more) => setAsked({ ...(asked ?? { n: PAIRS[0], seed: 0, order: "closest" }), ...more });
  return html`<section><h2>${t("resembling")}</h2><p class="muted">${t("resembling_why")}</p>
    ${asked ? html`<div class="fields"><label>${t("order")}<select value=${asked.order} onChange=${(e) => change({ order: e.target.value })}><option value="closest">${t("order_closest")}</option><option value="drawn">${t("order_drawn")}</option></select></label>
      <label>${t("seed")}<input type="number" min="0" value=${asked.seed} onInput=${(e) => e.target.value !== "" && change({ seed: Math.max(0, Math.round(Number(e.target.value))) })} /></label>
      <label>${t("how_many")}<select value=${asked.n} onChange=${(e) => change({ n: Number(e.target.value) })}>${PAIRS.map((n) => html`<option value=${n}>${n}</option>`)}</select></label></div>`
    : html`<div class="actions"><button onClick=${() => change({})}>${t("resembling_show")}</button></div>`}
    <${Line} error=${error} />${asked && !found && !error ? html`<${Busy} text=${t("at_work")} />` : null}
    ${found ? html`<p><b>${t(found.copies ? "copies_yes" : "copies_no")}</b> ${t("copies_judged", { n: found.judged, share: percent(found.share), expected: percent(found.expected_high) })}</p>
      <div class="pairs">${found.pairs.map((one) => html`<${Pair} key=${`${asked.seed}:${one.sample}`} pair=${one} seed=${asked.seed} />`)}</div>
      <p class="muted">${t("nearness_why", { among: found.among, of: found.trained_on, features: found.features })}</p>` : null}</section>`;
}

function Trial({ trial }) {
  if (trial.trouble) return html`<h3>${trial.name}</h3><p class="error">${trial.trouble}</p>`;
  return html`<article><h3>${trial.name} <span class=${`state ${trial.answer === "HELPS" ? "finished" : trial.answer === "HURTS" ? "failed" : ""}`}>${trial.answer}</span></h3>
    <ul>${trial.reasons.map((line) => html`<li>${line}</li>`)}</ul><p>${t("recommended", { what: trial.recommended })}</p>
    <p class="muted">${t("trial_of", { items: t(`noun_${trial.items}`), classifier: trial.classifier, n: trial.trained_on, classes: trial.classes.length, tested: trial.tested_on, seeds: trial.seeds })}</p>
    <${Table} label=${t("trial_arms", { name: trial.name })} head=${[t("arm"), ...trial.figures, t("against_real")]}
      rows=${trial.arms.map((arm) => [arm.title, ...arm.means.map((value) => value.toFixed(3)), arm.against ? `${arm.against.value.toFixed(3)} (${between(arm.against.low, arm.against.high)})` : ""])} />
    ${trial.picture ? html`<img class="plot" src=${path("trials", trial.name, "picture")} alt=${t("trial_picture", { name: trial.name })} loading="lazy" />` : null}<p class="muted break">${trial.folder}</p></article>`;
}

function Trials() {
  const [list, error] = useAnswer("/api/trials");
  return html`<section><h2>${t("trials")}</h2><p class="muted">${t("trials_why")}</p><${Line} error=${error} />
    ${list && !list.length ? html`<p class="empty">${t("trials_none")}</p>` : null}${(list ?? []).map((trial) => html`<${Trial} key=${trial.name} trial=${trial} />`)}</section>`;
}

export function JudgeView({ run, act, busy }) {
  const working = run.job !== null || run.state === "working", [about] = useAnswer(path("runs", run.run, "about"));
  return html`<section><div class="head"><h2>${t("tab_report")}</h2><${SendButton} disabled=${working || busy} onClick=${() => act("POST", "evaluate")}>${t("evaluate")}<//></div>
    <p class="muted">${t("evaluate_why")}</p>${working ? html`<${Working} line=${run.job?.said || run.job?.command || run.by || ""} />` : null}
    ${run.report || working ? null : html`<p class="empty">${t("report_none")}</p>`}<${Scores} run=${run} />
    ${run.report ? html`<details class="whole"><summary>${t("report_whole")}</summary><p><a href=${path("runs", run.run, "report")} target="_blank" rel="noopener">${t("open_alone")}</a></p>
      <iframe class="report" loading="lazy" title=${t("report_of", { run: run.run })} src=${path("runs", run.run, "report") + query({ at: run.changed })}></iframe></details>` : null}</section>
    ${about?.draws && about.kind === "image" ? html`<${Resembling} run=${run.run} />` : null}<${Against} run=${run.run} /><${Trials} />`;
}
