// Lists of the server's items. Each entry is a copy of a template.

import { copyOf } from './dom.js';

/**
 * Shows items, which have an id, as the children of list, in their order. An item that is already shown keeps its element,
 * and with it the focus and an open form. prepare is called for a new element, fill each time.
 */
export function showItems(list, items, { template, prepare = () => {}, fill }) {
  const existing = new Map([...list.children].map((element) => [element.dataset.id, element]));
  const wanted = items.map((item) => {
    const element = existing.get(item.id) ?? newEntry(template, item, prepare);
    existing.delete(item.id);
    fill(element, item);
    return element;
  });
  for (const element of existing.values()) remove(element, list);
  wanted.forEach((element, index) => {
    if (list.children[index] !== element) list.insertBefore(element, list.children[index] ?? null);
  });
}

function newEntry(template, item, prepare) {
  const element = copyOf(template, item.id);
  element.dataset.id = item.id;
  prepare(element, item);
  return element;
}

// If the focus was in the entry, it moves to the heading of the list.
function remove(element, list) {
  const focused = element.contains(document.activeElement);
  element.remove();
  if (focused) list.closest('section').querySelector('h2').focus();
}

const pageSize = 10;
const maxLimit = 100; // the server's maximum

/** A list that is loaded page by page, with a button for the next page. */
export class PagedList {
  #fetch;
  #list;
  #more;
  #options;
  #items = [];
  #cursor = null;

  /** fetch(limit, cursor) gets a page; options are those of showItems. */
  constructor(fetch, list, more, options) {
    this.#fetch = fetch;
    this.#list = list;
    this.#more = more;
    this.#options = options;
  }

  /** Loads as many items as are shown now. Returns a function that shows them. */
  async load() {
    const page = await this.#fetch(Math.min(Math.max(pageSize, this.#items.length), maxLimit));
    return () => this.#show(page.items, page.next_cursor);
  }

  /** Shows the next page and focuses its first entry. */
  async extend() {
    const index = this.#items.length;
    const page = await this.#fetch(pageSize, this.#cursor);
    const known = new Set(this.#items.map(({ id }) => id));
    this.#show([...this.#items, ...page.items.filter(({ id }) => !known.has(id))], page.next_cursor);
    this.#list.children[index]?.focus();
  }

  clear() {
    this.#show([], null);
  }

  get length() {
    return this.#items.length;
  }

  #show(items, cursor) {
    this.#items = items;
    this.#cursor = cursor;
    showItems(this.#list, items, this.#options);
    this.#more.hidden = cursor === null;
  }
}
