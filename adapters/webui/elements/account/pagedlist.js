import { useLayoutEffect, useRef, useState } from 'preact/hooks';

const pageSize = 10;
const maxLimit = 100; // the server's maximum

/**
 * Returns a list that is loaded page by page: {items, busy, more, load, extend}. fetch({limit, cursor}) returns {items, next_cursor}. load
 * loads as many items as are shown; extend adds a page. The list is loaded again when `of` changes, and is busy meanwhile. If two
 * loads overlap, the one that began last is shown.
 */
export function usePagedList(fetch, of) {
  const [list, setList] = useState({ items: [], cursor: null });
  const [busy, setBusy] = useState(true);
  const begun = useRef(0);
  const load = async () => {
    begun.current += 1;
    const current = begun.current;
    setBusy(true);
    try {
      const page = await fetch({ limit: Math.min(Math.max(pageSize, list.items.length), maxLimit) });
      if (current === begun.current) setList({ items: page.items, cursor: page.next_cursor });
    } finally {
      if (current === begun.current) setBusy(false);
    }
  };
  const extend = async () => {
    const page = await fetch({ limit: pageSize, cursor: list.cursor });
    const known = new Set(list.items.map(({ id }) => id));
    setList({ items: [...list.items, ...page.items.filter(({ id }) => !known.has(id))], cursor: page.next_cursor });
  };
  useLayoutEffect(() => void load().catch(() => {}), of);
  return { ...list, busy, more: list.cursor !== null, load, extend };
}
