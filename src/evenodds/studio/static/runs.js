// The list of runs: newest first, live.

import { useState } from "./vendor/preact-htm.js";
import { path } from "./api.js";
import { usePoll } from "./hooks.js";
import { Busy, duration, figure, html, Line, short, Sparkline, whole } from "./parts.js";
import { t } from "./strings.js";

const SHOWN = 40;
export const runLink = (run, part) => `#/run/${encodeURIComponent(run)}${part ? `/${part}` : ""}`;

export function State({ state }) {
  return html`<span class=${`state ${state}`}>${t(`state_${state}`)}</span>`;
}

export function Progress({ run }) {
  const share = run.total ? Math.min(1, run.images / run.total) : 0;
  const items = t(`noun_${run.noun}`);
  return html`<div class="progress"><progress value=${share} max="1" aria-label=${t("shown_of", { done: whole(run.images), total: whole(run.total), items })}></progress>
    <span>${t("shown_of", { done: short(run.images), total: short(run.total), items })}</span>
    ${run.images_per_second && run.state === "playing" ? html`<span>${t("per_second", { n: short(run.images_per_second), items })}</span>` : null}
    ${run.left ? html`<span>${t("left", { time: duration(run.left) })}</span>` : null}</div>`;
}

function Row({ run }) {
  const picture = run.samples === null ? html`<span class="thumb none">${t("no_samples")}</span>`
    : html`<img class="thumb" src=${path("runs", run.run, "snapshots", run.samples)} alt=${t("samples_of", { run: run.run, n: whole(run.samples), items: t(`noun_${run.noun}`) })} loading="lazy" />`;
  return html`<li class="card run">${picture}
    <div class="what"><h2><a href=${runLink(run.run)}>${run.run}</a> <${State} state=${run.state} /></h2>
      <p class="muted">${[run.recipe, run.task, run.data].filter(Boolean).join(" · ")}</p>
      ${run.trouble ? html`<p class="error">${t("trouble", { line: run.trouble })}</p>` : html`<${Progress} run=${run} />`}
      <p class="verdict">${run.verdict ? html`<b>${run.verdict}</b>${run.why ? `: ${run.why}` : ""}` : t(run.state === "playing" ? "no_verdict" : "never_judged")}</p></div>
    <div class="figures"><${Sparkline} points=${run.scores} label=${t("score_curve", { run: run.run })} />
      ${run.score === null ? null : html`<span>${t("score")} <b>${figure(run.score)}</b></span><span class="muted">${t("best_score", { n: figure(run.best) })}</span>`}</div></li>`;
}

export function RunsView() {
  const [list, error] = usePoll("/api/runs", 1.5), [words, setWords] = useState(""), [most, setMost] = useState(SHOWN);
  if (!list) return html`<${Line} error=${error} />${error ? null : html`<${Busy} text=${t("loading")} />`}`;
  const others = list.processes.slice(0, 5), sought = words.toLowerCase().split(/\s+/).filter(Boolean);
  const text = (run) => [run.run, run.recipe, run.task, run.data, t(`state_${run.state}`), run.verdict].join(" ").toLowerCase();
  const found = sought.length ? list.runs.filter((run) => sought.every((word) => text(run).includes(word))) : list.runs;
  return html`<div class="head"><h1>${t("runs")}</h1><a class="button" href="#/new">${t("new_run")}</a></div>
    <p class="muted">${t("in_folder", { base: list.base })}</p><${Line} error=${error} />
    ${list.runs.length > SHOWN / 4 ? html`<div class="fields"><label class="long">${t("seek")}<input type="search" value=${words} placeholder=${t("seek_as")} onInput=${(e) => setWords(e.target.value)} /></label><span class="muted" role="status">${t("runs_found", { n: whole(found.length), of: whole(list.runs.length) })}</span></div>` : null}
    <ul class="cards">${others.map((one) => html`<li key=${one.run + one.since} class="card run">
        <div class="what"><h2>${one.run} <span class=${`state ${one.alive ? "playing" : "failed"}`}>${t(one.alive ? "starting" : "failed")}</span></h2>
        <p class="muted">${one.said.length ? t("said_last", { line: one.said[one.said.length - 1] }) : ""}</p></div></li>`)}
      ${found.slice(0, most).map((run) => html`<${Row} key=${run.run} run=${run} />`)}</ul>
    ${found.length > most ? html`<div class="actions"><button class="quiet" onClick=${() => setMost(most + SHOWN)}>${t("more_runs", { n: whole(found.length - most) })}</button></div>` : null}
    ${list.runs.length + others.length ? null : html`<div class="empty"><p><b>${t("no_runs")}</b></p><p>${t("no_runs_next")}</p><a class="button" href="#/new">${t("new_run")}</a></div>`}`;
}
