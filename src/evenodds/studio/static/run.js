// One run: how it goes, its curves, its samples over time, what it is, and what can be done with it.

import { useEffect, useRef, useState } from "./vendor/preact-htm.js";
import { Latest, path, query, send } from "./api.js";
import { SendButton, StopButton } from "./buttons.js";
import { Chart, groups } from "./charts.js";
import { useOthers, usePicture, usePoll, useWork } from "./hooks.js";
import { JudgeView } from "./judge.js";
import { Busy, figure, html, Line, shaped, Slider, whole } from "./parts.js";
import { PlayView } from "./play.js";
import { Progress, runLink, State } from "./runs.js";
import { t } from "./strings.js";
import { ToolsView } from "./tools.js";

const PARTS = ["overview", "play", "tools", "settings", "report"];

const NOTHING = { part: "", lines: 0, columns: {} };

// A history, and lines of it that came: those that the page had not, or all of them where it is another file.
function joined(before, fresh) {
  if (fresh.part === before.part ? fresh.lines <= before.lines : fresh.first) return before;
  const columns = {};
  for (const name of new Set([...Object.keys(fresh.first ? before.columns : {}), ...Object.keys(fresh.columns)])) {
    const had = before.columns[name]?.slice(0, fresh.first) ?? new Array(fresh.first).fill(null);
    columns[name] = [...had, ...(fresh.columns[name] || new Array(fresh.lines - fresh.first).fill(null))];
  }
  return { part: fresh.part, lines: fresh.lines, columns };
}

// The columns of a history, which grow with what is new: [columns, error]. They are null until they are there.
function useHistory(run, version) {
  const [held, setHeld] = useState({ run: "", ...NOTHING }), [wrong, setWrong] = useState({}), latest = useRef(null), mine = held.run === run ? held : NOTHING;
  latest.current ??= new Latest();
  useEffect(() => {
    if (run) latest.current.ask(path("runs", run, "history") + query({ since: mine.lines, part: mine.part }), async (answer) => {
      const fresh = await answer.json();
      setHeld((before) => ({ run, ...joined(before.run === run ? before : NOTHING, fresh) }));
    }, (error) => setWrong({ run, error }));
  }, [run, version]);
  return [mine === held ? held.columns : null, wrong.run === run ? wrong.error : null];
}

function Curves({ run, marks, version, items }) {
  const [log, setLog] = useState(false), [other, setOther] = useState(""), [names, unlisted] = useOthers(run);
  const [columns, error] = useHistory(run, version), [second, missing] = useHistory(other, version);
  if (!columns?.images?.length) return html`<section><h2>${t("curves")}</h2>${columns ? html`<p class="muted">${t("none_yet")}</p>` : error ? html`<${Line} error=${error} />` : html`<${Busy} text=${t("loading")} />`}</section>`;
  const theme = document.documentElement.dataset.theme || "auto";
  return html`<section><div class="head"><h2>${t("curves")}</h2><div class="choices">
      <label><input type="checkbox" checked=${log} onChange=${(e) => setLog(e.target.checked)} /> ${t("log")}</label>
      <label>${t("with_run")} <select value=${other} onChange=${(e) => setOther(e.target.value)}>
        <option value="">${t("nobody")}</option>${names.map((name) => html`<option value=${name}>${name}</option>`)}</select></label></div></div>
    <p class="muted">${t("zoom_help")}</p><${Line} error=${error || unlisted || missing} />
    <div class="charts">${groups(Object.keys(columns), items).map((chart) => html`<${Chart} key=${chart.title} chart=${chart} columns=${columns} log=${log} marks=${marks} items=${items}
      other=${other} otherColumns=${second} theme=${theme} />`)}</div></section>`;
}

function Samples({ run, snapshots, items }) {
  const [chosen, setChosen] = useState(null);
  const at = chosen === null ? snapshots.length - 1 : Math.min(chosen, snapshots.length - 1), images = snapshots[at];
  const [canvas, error] = usePicture(images === undefined ? null : path("runs", run, "snapshots", images));
  return html`<section><h2>${t("samples_time")}</h2>${images === undefined ? html`<p class="muted">${t("no_samples")}</p>` : html`
    <canvas ref=${canvas} class="picture big" role="img" aria-label=${t("samples_of", { run, n: whole(images), items })} width="1" height="1"></canvas>
    <${Slider} label=${t("moment")} value=${at} min="0" max=${snapshots.length - 1} step="1" shown=${t("after_shown", { n: whole(images), items })} disabled=${snapshots.length < 2}
      onInput=${(value) => setChosen(value === snapshots.length - 1 ? null : value)} /><${Line} error=${error} />`}</section>`;
}

function Verdicts({ run }) {
  return html`<section><h2>${t("verdicts")}</h2>${run.verdicts.length ? html`<ol class="times">${run.verdicts.slice().reverse().map((one) => html`<li key=${one.images + one.word}>
      <b>${one.kind === "remedy" ? `${t("remedy")}: ` : ""}${one.word}</b> <span class="muted">${t("verdict_at", { n: whole(one.images), items: t(`noun_${run.noun}`) })}</span>${one.why ? html`<br />${one.why}` : null}</li>`)}</ol>` : html`<p class="muted">${t(run.state === "playing" ? "no_verdict" : "never_judged")}</p>`}
    ${run.remedies.length ? html`<h3>${t("remedies")}</h3><ul>${run.remedies.map((line) => html`<li>${line}</li>`)}</ul>` : null}</section>`;
}

function Checkpoints({ run }) {
  const is = run.checkpoints.find((one) => one.score_is)?.score_is;
  return html`<section><h2>${t("checkpoints")}</h2>${run.checkpoints.length ? html`<div class="wide" tabindex="0" role="region" aria-label=${t("checkpoints")}><table><thead><tr><th>${t(`noun_${run.noun}`)}</th><th>${t("score")}</th><th>${t("interval")}</th></tr></thead>
    <tbody>${run.checkpoints.slice().reverse().map((one) => html`<tr key=${one.images}><td>${whole(one.images)} ${one.best ? html`<span class="state finished">${t("best")}</span>` : null}</td>
      ${one.trouble ? html`<td colspan="2" class="error">${one.trouble}</td>` : html`<td>${figure(one.score)}</td><td>${one.interval[0] === null ? "–" : `${figure(one.interval[0])} – ${figure(one.interval[1])}`}</td>`}</tr>`)}</tbody></table></div>
    ${is ? html`<p class="muted">${t("score")}: ${is}</p>` : null}` : html`<p class="muted">${t("none_yet")}</p>`}</section>`;
}

// A setting as --set takes it: a part has its name in one row, and each of its options in one of its own.
function written([key, value]) {
  if (value === null) return [[key, "none"]];
  if (typeof value !== "object" || Array.isArray(value)) return [[key, typeof value === "object" ? JSON.stringify(value) : String(value)]];
  const { name, ...options } = value;
  return [...(name === undefined ? [] : [[key, String(name)]]), ...Object.entries(options).flatMap(([option, one]) => written([`${key}.${option}`, one]))];
}

function Settings({ run }) {
  const data = run.data || {};
  return html`<div class="columns"><section><h2>${t("data")}</h2>${data.shape ? html`<p>${t("items", { n: whole(data.items), shape: shaped(data.shape) })}, ${t("trained_on", { n: whole(data.trained_on) })}</p>` : null}
      ${data.place ? html`<p class="muted break">${data.place}</p>` : null}
      ${data.classes?.length ? html`<h3>${t("classes")}</h3><ul class="tags">${data.classes.map((name, k) => html`<li>${name}${data.class_counts?.[k] !== undefined ? ` · ${whole(data.class_counts[k])}` : ""}</li>`)}</ul>` : null}
      ${data.report?.length ? html`<h3>${t("found")}</h3><ul>${data.report.map((line) => html`<li>${line}</li>`)}</ul>` : null}</section>
    <section><h2>${t("tab_settings")}</h2><div class="wide" tabindex="0" role="region" aria-label=${t("tab_settings")}><table><thead><tr><th>${t("setting")}</th><th>${t("value")}</th></tr></thead><tbody>
      ${Object.entries(run.settings).flatMap(written).map(([key, value]) => html`<tr key=${key}><td><code>${key}</code></td><td class="break">${value}</td></tr>`)}</tbody></table></div></section></div>`;
}

function Actions({ run, act, busy: sending }) {
  const [asked, setAsked] = useState(0);
  if (asked) return html`<div class="actions" role="alertdialog" aria-label=${t("discard")}><p>${asked === 1 ? t("discard_ask", { run: run.run }) : t("discard_again")}</p>
    <${SendButton} class="danger" disabled=${sending} onClick=${() => (asked === 1 ? setAsked(2) : act("DELETE", "", { sure: run.run }))}>${asked === 1 ? t("discard_yes") : t("discard_sure")}<//>
    <button disabled=${sending} onClick=${() => setAsked(0)}>${t("cancel")}</button></div>`;
  const busy = run.state === "playing" || run.state === "working" || run.job !== null;
  const other = run.state === "finished" && run.job !== null; // a run that is done is not stopped: what is made of it is
  return html`<div class="actions">${busy ? html`<${StopButton} key=${`${run.state} ${run.job?.command}`} url=${path("runs", run.run, "stop")} title=${other ? "" : t("stop_why")}>${other ? t("stop_work", { name: run.job.command }) : t("stop")}<//>` : null}
    ${run.state === "stopped" && !busy && !run.trouble ? html`<${SendButton} disabled=${sending} onClick=${() => act("POST", "resume")}>${t("resume")}<//>` : null}
    ${busy ? null : html`<button class="quiet" onClick=${() => setAsked(1)}>${t("discard")}</button>`}</div>`;
}

export function RunView({ run: name, part }) {
  const [run, error, again, pause] = usePoll(path("runs", name), 1.2);
  const [act, busy, failed] = useWork(async (method, action, words = {}) => {
    if (method === "DELETE") pause(); // it is gone before the page is left
    try {
      await send(method, path("runs", name, ...(action ? [action] : [])) + query(words));
      if (method === "DELETE") return "#/";
    } catch (wrong) { again(); throw wrong; }
    await again();
  });
  if (!run || error?.status === 400) // 400: it is gone
    return html`<h1>${name}</h1><${Line} error=${error} />${error ? null : html`<${Busy} text=${t("loading")} />`}`;
  const view = part === "play" ? html`<${PlayView} run=${name} checkpoints=${run.checkpoints} />`
    : part === "tools" ? html`<${ToolsView} run=${name} job=${run.job} again=${again} />`
    : part === "settings" ? html`<${Settings} run=${run} />`
    : part === "report" ? html`<${JudgeView} run=${run} act=${act} busy=${busy} />`
    : html`<div class="columns"><${Samples} run=${name} snapshots=${run.snapshots} items=${t(`noun_${run.noun}`)} /><div><${Verdicts} run=${run} /><${Checkpoints} run=${run} />
      ${run.said.length ? html`<section><details><summary>${t("said")}</summary><pre tabindex="0">${run.said.join("\n")}</pre></details></section>` : null}</div></div>
      <${Curves} run=${name} marks=${run.verdicts} version=${`${run.changed}-${run.images}`} items=${t(`noun_${run.noun}`)} />`;
  return html`<div class="head"><h1>${name} <${State} state=${run.state} /></h1><${Actions} run=${run} act=${act} busy=${busy} /></div>
    <${Line} error=${error} /><${Line} error=${failed} />${run.trouble ? html`<p class="error" role="alert">${t("trouble", { line: run.trouble })}</p>` : html`<${Progress} run=${run} />`}
    ${run.verdict ? html`<p class="verdict"><b>${run.verdict}</b>${run.why ? `: ${run.why}` : ""}</p>` : null}
    <nav class="tabs" aria-label=${t("views")}>${PARTS.map((one) => html`<a key=${one} href=${runLink(name, one)} aria-current=${one === part ? "page" : undefined}>${t(`tab_${one}`)}</a>`)}</nav>${view}`;
}
