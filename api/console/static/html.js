// What every module of the console draws with: Preact and its hooks, and htm instead of JSX.
import { h } from "preact";
import htm from "htm";

export { Fragment, createRef, render } from "preact";
export { useCallback, useEffect, useId, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";

export const html = htm.bind(h);
