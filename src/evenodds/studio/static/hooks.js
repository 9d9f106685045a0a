// What a view asks for, and what its buttons begin: an answer that comes after a newer one, or when what it is about was left, counts no more.

import { useEffect, useRef, useState } from "./vendor/preact-htm.js";
import { get, Latest, poll } from "./api.js";
import { paint } from "./parts.js";

// `const counts = begin()`, and later counts(): whether nothing else was begun meanwhile, and the view is still there.
export function useTurns() {
  const turn = useRef(0), begin = () => { const mine = ++turn.current; return () => mine === turn.current; };
  useEffect(() => begin, []);
  return begin;
}

// What is at an address: [answer, error, last]. Both are of this address alone, null until they are there; `last` is the latest answer, also that of the
// address before. Without an address nothing is asked; another `version` asks again, while the answer stays.
export function useAnswer(url, version, asked = get) {
  const [told, setTold] = useState({}), turns = useRef({ asked: 0, told: 0 });
  useEffect(() => {
    if (!url) return;
    const turn = ++turns.current.asked;
    const tell = (words) => { turns.current.told = turn; setTold((before) => ({ url, last: before.last, ...words })); };
    asked(url).then((answer) => turn > turns.current.told && tell({ answer, last: answer }), (error) => turn === turns.current.asked && tell({ error }));
  }, [url, version]);
  const here = url && told.url === url ? told : {};
  return [here.answer ?? null, here.error ?? null, told.last ?? null];
}

// What is at an address, asked for every few seconds while the view is there: [answer, error, again, pause]; `await again()` asks now, and goes on after
// pause().
export function usePoll(url, seconds) {
  const [answer, setAnswer] = useState(null), [error, setError] = useState(null), polled = useRef(null);
  useEffect(() => {
    const mine = polled.current = poll(url, seconds, setAnswer, setError);
    return () => { mine.end(); polled.current = null; };
  }, [url]);
  return [answer, error, async () => polled.current?.again(), () => polled.current?.end()];
}

// The other runs, by name.
export function useOthers(run) {
  const [list, error] = useAnswer("/api/runs");
  return [list?.runs.map((one) => one.run).filter((name) => name !== run) ?? [], error];
}

// What a button does, once at a time: [begin, busy, error]. The error is that of `about` alone. Work may answer with the view to go to next: the button
// stays at work until this view is gone, and where somebody has left it, nothing leads away from where they are.
export function useWork(work, about) {
  const [busy, setBusy] = useState(false), [wrong, setWrong] = useState({}), held = useRef(false), turn = useTurns();
  const begin = async (...words) => {
    if (held.current) return;
    const here = turn();
    held.current = true; setBusy(true); setWrong({});
    try {
      const next = await work(...words);
      if (next) { if (here()) location.hash = next; return; }
    } catch (error) { setWrong({ about, error }); }
    held.current = false; setBusy(false);
  };
  return [begin, busy, (wrong.about === about && wrong.error) || null];
}

// A picture that follows an address: the latest wins.
export function usePicture(url) {
  const canvas = useRef(null), latest = useRef(null), [error, setError] = useState(null), [busy, setBusy] = useState(false);
  latest.current ??= new Latest();
  useEffect(() => {
    const timer = setInterval(() => setBusy(performance.now() - latest.current.since > 600), 300);
    return () => clearInterval(timer);
  }, []);
  useEffect(() => {
    if (url) latest.current.ask(url, async (answer) => paint(canvas.current, await answer.blob()), setError);
  }, [url]);
  return [canvas, error, busy];
}
