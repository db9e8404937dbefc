// Something that a button does once, and how it went.
import { useState } from "./html.js";

const IDLE = { isBusy: false, problem: null, told: "" };

// `attempt(work, told)` does `work()`; meanwhile `isBusy`, then its `problem`, or `told`: a text, or a function that
// makes one of what the work gave. `hush()` takes that text away.
export function useAttempt() {
  const [state, setState] = useState(IDLE);

  async function attempt(work, told = "") {
    setState({ ...IDLE, isBusy: true });
    try {
      const given = await work();
      setState({ ...IDLE, told: typeof told === "function" ? told(given) : told });
    } catch (problem) {
      setState({ ...IDLE, problem });
    }
  }

  return { ...state, attempt, hush: () => setState((known) => ({ ...known, told: "" })) };
}
