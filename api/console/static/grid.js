// A grid that draws only what is on the screen: the page keeps its height, and a bounded number of cells.
import { html, useEffect, useLayoutEffect, useRef, useState } from "./html.js";

const GAP = 12;
const CAPTION = 42;
const SPARE_ROWS = 2;

// `draw(item)` gives what is inside a cell, which is a link to `target(item)`. `onShown(last)` tells the
// index of the last cell in sight. Arrow keys, Home, End, PageUp and PageDown move between cells.
export function Grid({ items, draw, target, label, cell = 168, start = 0, onActive, onShown }) {
  const list = useRef();
  const wantsFocus = useRef(false);
  const [shape, setShape] = useState({ columns: 0, side: cell });
  const [rows, setRows] = useState({ first: 0, last: 0 });
  const [active, setActive] = useState(start);
  // Keys may come faster than the cells are drawn, and each goes on from the last one.
  const newest = useRef(start);
  const { columns, side } = shape;
  const step = side + CAPTION + GAP;

  useLayoutEffect(() => {
    const measure = () => {
      const width = list.current.clientWidth;
      const wide = Math.max(2, Math.floor((width + GAP) / (cell + GAP)));
      setShape((known) => {
        const next = { columns: wide, side: Math.floor((width - GAP * (wide - 1)) / wide) };
        return next.columns === known.columns && next.side === known.side ? known : next;
      });
    };
    const observer = new ResizeObserver(measure);
    observer.observe(list.current);
    measure();
    return () => observer.disconnect();
  }, [cell]);

  useLayoutEffect(() => {
    let frame = 0;
    const look = () => {
      frame = 0;
      const top = -list.current.getBoundingClientRect().top;
      const first = Math.max(0, Math.floor(top / step) - SPARE_ROWS);
      const last = Math.max(0, Math.ceil((top + innerHeight) / step) + SPARE_ROWS);
      setRows((known) => (known.first === first && known.last === last ? known : { first, last }));
    };
    const later = () => {
      frame ||= requestAnimationFrame(look);
    };
    addEventListener("scroll", later, { passive: true });
    addEventListener("resize", later);
    look();
    return () => {
      cancelAnimationFrame(frame);
      removeEventListener("scroll", later);
      removeEventListener("resize", later);
    };
  }, [step]);

  const begin = rows.first * columns;
  const end = Math.min(items.length, rows.last * columns);
  useEffect(() => onShown?.(end), [end, items.length]);

  useEffect(() => {
    if (!wantsFocus.current) return;
    wantsFocus.current = false;
    list.current.querySelector('a[tabindex="0"]')?.focus({ preventScroll: true });
  }, [active, begin]);

  function move(index) {
    const to = Math.min(items.length - 1, Math.max(0, index));
    reveal(list.current, Math.floor(to / columns) * step, step);
    wantsFocus.current ||= to !== newest.current;
    newest.current = to;
    setActive(to);
    onActive?.(to);
  }

  function onKeyDown(event) {
    const page = columns * Math.max(1, Math.floor((innerHeight - step / 2) / step));
    const moves = {
      ArrowRight: 1,
      ArrowLeft: -1,
      ArrowDown: columns,
      ArrowUp: -columns,
      PageDown: page,
      PageUp: -page,
    };
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key in moves) move(newest.current + moves[event.key]);
    else if (event.key === "Home") move(0);
    else if (event.key === "End") move(items.length - 1);
    else return;
    event.preventDefault();
  }

  const drawn = [];
  for (let index = begin; index < end; index += 1) drawn.push(index);
  // The focus must not be lost when its cell scrolls away.
  if (active < items.length && (active < begin || active >= end)) drawn.push(active);
  const height = Math.max(0, Math.ceil(items.length / (columns || 1)) * step - GAP);

  return html`<ul class="grid-cells" ref=${list} aria-label=${label} onKeyDown=${onKeyDown}
    style=${{ height: `${height}px` }}>
    ${
      columns > 0 &&
      drawn.map(
        (index) => html`<li key=${items[index].id} aria-setsize=${items.length} aria-posinset=${index + 1}
      style=${{
        width: `${side}px`,
        height: `${side + CAPTION}px`,
        transform: `translate(${(index % columns) * (side + GAP)}px, ${Math.floor(index / columns) * step}px)`,
      }}>
      <a href=${target(items[index])} tabindex=${index === active ? 0 : -1}
        onFocus=${() => {
          if (index !== active) {
            newest.current = index;
            setActive(index);
            onActive?.(index);
          }
        }}>${draw(items[index], side)}</a>
    </li>`,
      )
    }
  </ul>`;
}

// Scrolls so that the row at `top` of the list is between the sticky header and the end of the window.
function reveal(list, top, height) {
  const header = document.querySelector("header.top")?.offsetHeight ?? 0;
  const at = list.getBoundingClientRect().top + top;
  if (at < header + GAP) scrollBy({ top: at - header - GAP });
  else if (at + height > innerHeight) scrollBy({ top: at + height - innerHeight });
}
