// Asks again and again: soon while things change, ever less often while they do not, never in a hidden tab.
import { useEffect, useRef, useState } from "./html.js";

const SOON_MS = 1500;
const LATEST_MS = 15000;
const SLOWER = 1.5;

// `load(signal)` gives a value; a change of `key` starts anew. Gives {value, problem, poke, isPaused}; `value` stays
// while another one is awaited, and `poke()` asks at once.
export function usePolling(load, key) {
  const [state, setState] = useState({ value: null, problem: null, key: null });
  const [isHidden, setHidden] = useState(document.hidden);
  const poke = useRef(() => {});
  const latest = useRef(load);
  latest.current = load;

  useEffect(() => {
    const changed = () => setHidden(document.hidden);
    document.addEventListener("visibilitychange", changed);
    return () => document.removeEventListener("visibilitychange", changed);
  }, []);

  useEffect(() => {
    if (isHidden) return undefined;
    let control = new AbortController();
    let timer = 0;
    let wait = SOON_MS;
    let last = "";

    async function ask() {
      const { signal } = control;
      try {
        const value = await latest.current(signal);
        if (signal.aborted) return;
        const now = JSON.stringify(value);
        wait = now === last ? Math.min(wait * SLOWER, LATEST_MS) : SOON_MS;
        last = now;
        setState({ value, problem: null, key });
      } catch (problem) {
        if (signal.aborted) return;
        wait = Math.max(Math.min(wait * 2, LATEST_MS), 1000 * (problem.retryAfter ?? 0));
        setState((known) => ({ ...known, problem }));
      }
      timer = setTimeout(ask, wait);
    }

    poke.current = () => {
      control.abort();
      clearTimeout(timer);
      control = new AbortController();
      wait = SOON_MS;
      return ask();
    };
    ask();
    return () => {
      control.abort();
      clearTimeout(timer);
    };
  }, [key, isHidden]);

  // A value of another key is none of this one's.
  const value = state.key === key ? state.value : null;
  return { value, problem: state.problem, poke: () => poke.current() };
}
