// What the overview showed while this tab was open, for its lines over time.
import { watchSession } from "./session.js";

const MOST = 120;
let kept = [];

// Of another key there may be other numbers.
watchSession(() => { kept = []; });

export function remember({ images, tasks }) {
  kept = [...kept, { images, waiting: tasks.created }].slice(-MOST);
}

export function samples() {
  return kept;
}
