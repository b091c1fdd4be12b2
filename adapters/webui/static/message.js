// The place where the page speaks. What concerns a field is also told beside it.

import { $ } from './dom.js';
import { wordsFor } from './words.js';

const message = $('message');
let rpId;

/** Names the domain that this server's passkeys belong to. */
export function belongTo(domain) {
  rpId = domain;
}

/** Says {text, calm, code?, link?}, as words.js has it. */
export function say({ code, text, calm, link }) {
  message.setAttribute('role', calm ? 'status' : 'alert');
  message.dataset.tone = calm ? 'calm' : 'alarm';
  message.dataset.code = code ?? '';
  message.replaceChildren(text);
  if (link) {
    const anchor = document.createElement('a');
    anchor.href = link;
    anchor.textContent = link;
    message.append(anchor);
  }
  message.scrollIntoView({ block: 'nearest' });
}

/** Takes back all that was said. */
export function clear() {
  message.setAttribute('role', 'status');
  message.removeAttribute('data-code');
  message.removeAttribute('data-tone');
  message.replaceChildren();
  for (const input of document.querySelectorAll('[aria-invalid]')) {
    input.removeAttribute('aria-invalid');
    input.removeAttribute('aria-describedby');
  }
  for (const complaint of document.querySelectorAll('.complaint')) complaint.remove();
}

/** Says what went wrong, beside its field if the form has it. */
export function tell(error, form) {
  const words = wordsFor(error, rpId, form?.dataset.about);
  if (!words) return clear();
  say(words);
  const input = words.field && form?.elements.namedItem(words.field);
  if (input) complain(input, words.text);
}

// On a phone with its keyboard up, there is room for little else than the field.
function complain(input, text) {
  const complaint = document.createElement('p');
  complaint.className = 'complaint';
  complaint.id = `${input.id}-complaint`;
  complaint.textContent = text;
  input.after(complaint);
  input.setAttribute('aria-invalid', 'true');
  input.setAttribute('aria-describedby', complaint.id);
  message.dataset.tone = 'beside';
  input.focus();
}
