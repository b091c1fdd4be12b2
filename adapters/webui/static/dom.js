// Short ways to the elements of the page.

export const $ = (id) => document.getElementById(id);

/** The part of a template's copy that the template calls by this name. */
export const part = (element, name) => element.querySelector(`[data-part="${name}"]`);

const references = ['id', 'for', 'aria-labelledby', 'aria-describedby'];

/** Copies a template's one element. Its ids, and what refers to them, end in the key, so that they stay unique. */
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
