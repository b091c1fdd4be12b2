import { useEffect, useState } from 'preact/hooks';

const pageSize = 10;
const maxLimit = 100; // the server's maximum

/**
 * Returns a list that is loaded page by page: {items, more, load, extend}. fetch({limit, cursor}) returns {items, next_cursor}. load
 * loads as many items as are shown; extend adds a page. The list is loaded again when `of` changes.
 */
export function usePagedList(fetch, of) {
  const [list, setList] = useState({ items: null, cursor: null });
  const load = async () => {
    const page = await fetch({ limit: Math.min(Math.max(pageSize, list.items?.length ?? 0), maxLimit) });
    setList({ items: page.items, cursor: page.next_cursor });
  };
  const extend = async () => {
    const page = await fetch({ limit: pageSize, cursor: list.cursor });
    const known = new Set(list.items.map(({ id }) => id));
    setList({ items: [...list.items, ...page.items.filter(({ id }) => !known.has(id))], cursor: page.next_cursor });
  };
  useEffect(() => void load().catch(() => {}), of);
  return { items: list.items ?? [], loaded: list.items !== null, more: list.cursor !== null, load, extend };
}
