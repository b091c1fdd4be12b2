// Lists of what the server keeps, each entry a copy of a template.

import { copyOf } from './dom.js';

/**
 * Shows items, which have an id, as the children of list, in their order. What was on show before keeps its element, and
 * with it the focus and a form that is open there. prepare gets an element when it is new, fill every time.
 */
export function showItems(list, items, { template, prepare = () => {}, fill }) {
  const present = new Map([...list.children].map((element) => [element.dataset.id, element]));
  const wanted = items.map((item) => {
    const element = present.get(item.id) ?? prepared(template, item, prepare);
    present.delete(item.id);
    fill(element, item);
    return element;
  });
  for (const leaving of present.values()) remove(leaving, list);
  wanted.forEach((element, at) => {
    if (list.children[at] !== element) list.insertBefore(element, list.children[at] ?? null);
  });
}

function prepared(template, item, prepare) {
  const element = copyOf(template, item.id);
  element.dataset.id = item.id;
  prepare(element, item);
  return element;
}

// Whoever was in an entry that goes is taken to the heading that it stood under.
function remove(element, list) {
  const focused = element.contains(document.activeElement);
  element.remove();
  if (focused) list.closest('section').querySelector('h2').focus();
}

const first = 10;
const most = 100; // as many as the server sends at once

/** A list that comes in parts, with a button for the next one. */
export class PagedList {
  #fetch;
  #list;
  #more;
  #how;
  #items = [];
  #cursor = null;

  /** fetch(limit, cursor) gets a part; how is as for showItems. */
  constructor(fetch, list, more, how) {
    this.#fetch = fetch;
    this.#list = list;
    this.#more = more;
    this.#how = how;
  }

  /** Gets as many as are on show, newly; returns what shows them. */
  async load() {
    const part = await this.#fetch(Math.min(Math.max(first, this.#items.length), most));
    return () => this.#show(part.items, part.next_cursor);
  }

  /** Shows the next part and takes the reader to its first entry. */
  async extend() {
    const at = this.#items.length;
    const part = await this.#fetch(first, this.#cursor);
    const known = new Set(this.#items.map(({ id }) => id));
    this.#show([...this.#items, ...part.items.filter(({ id }) => !known.has(id))], part.next_cursor);
    this.#list.children[at]?.focus();
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
    showItems(this.#list, items, this.#how);
    this.#more.hidden = cursor === null;
  }
}
