// The page's message. An error of a field is also shown beside the field.

import { $ } from './dom.js';
import { errorText } from './errortexts.js';

const message = $('message');
let rpId;

/** Sets the relying party ID, the domain that this server's passkeys are bound to. */
export function setRPID(domain) {
  rpId = domain;
}

/** Shows {text, info, code?, link?}, as errorText returns it. */
export function showMessage({ code, text, info, link }) {
  message.setAttribute('role', info ? 'status' : 'alert');
  message.dataset.tone = info ? 'info' : 'alert';
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

/** Removes the message and all errors of fields. */
export function clearMessage() {
  message.setAttribute('role', 'status');
  message.removeAttribute('data-code');
  message.removeAttribute('data-tone');
  message.replaceChildren();
  for (const input of document.querySelectorAll('[aria-invalid]')) {
    input.removeAttribute('aria-invalid');
    input.removeAttribute('aria-describedby');
  }
  for (const element of document.querySelectorAll('.field-error')) element.remove();
}

/** Shows an error, beside its field if the form has that field. */
export function showError(error, form) {
  const shown = errorText(error, rpId, form?.dataset.about);
  if (!shown) return clearMessage();
  showMessage(shown);
  const input = shown.field && form?.elements.namedItem(shown.field);
  if (input) showFieldError(input, shown.text);
}

// On a phone with its on-screen keyboard, little more than the field is visible.
function showFieldError(input, text) {
  const element = document.createElement('p');
  element.className = 'field-error';
  element.id = `${input.id}-error`;
  element.textContent = text;
  input.after(element);
  input.setAttribute('aria-invalid', 'true');
  input.setAttribute('aria-describedby', element.id);
  message.dataset.tone = 'field';
  input.focus();
}
