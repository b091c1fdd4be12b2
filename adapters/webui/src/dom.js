// Access to the elements of the page.

export const $ = (id) => document.getElementById(id);

/** Returns the element with this data-part in a copy of a template. */
export const part = (element, name) => element.querySelector(`[data-part="${name}"]`);

const references = ['id', 'for', 'aria-labelledby', 'aria-describedby'];

/** Copies a template's only element. The key is appended to its ids and to the references to them, so that they are unique. */
export function copyOf(template, key) {
  const copy = template.content.firstElementChild.cloneNode(true);
  for (const element of [copy, ...copy.querySelectorAll('*')]) {
    for (const attribute of references) {
      const ids = element.getAttribute(attribute);
      if (ids) element.setAttribute(attribute, ids.replace(/\S+/g, (id) => `${id}-${key}`));
    }
  }
  return copy;
}
