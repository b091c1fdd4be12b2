// Forms, their fields, and panels: forms that open below a button.

import { useLayoutEffect, useId, useRef, useState } from 'preact/hooks';
import { useElement } from './provider.jsx';

/**
 * A form whose submission runs onSubmit(values), the trimmed values of its fields by name. An empty required field is reported
 * instead.
 */
export function Form({ action, onSubmit, label, children, class: name, formRef }) {
  const { t } = useElement();
  return (
    <form
      ref={formRef}
      class={name}
      noValidate
      aria-label={label}
      onInput={action.clear}
      onFocusIn={({ currentTarget, target }) => revealSubmit(currentTarget, target)}
      onSubmit={(event) => {
        event.preventDefault();
        const form = event.currentTarget;
        const missing = [...form.elements].find((field) => field.required && field.value.trim() === '');
        if (missing) return action.show({ tone: 'alert', code: 'required', text: t('error.field.required'), field: missing.name });
        const values = Object.fromEntries([...new FormData(form)].map(([key, value]) => [key, value.trim()]));
        action.run(() => onSubmit(values));
      }}
    >
      {children}
    </form>
  );
}

// Shows the submit button too while a field for text has the focus, if both fit into the window: with large text the browser shows the
// field only. Under a press of any other control nothing may scroll: the press would end beside it, and be no click.
function revealSubmit(form, field) {
  const submit = form.querySelector('[type="submit"]');
  if (!submit || !field.matches('input:not([type="radio"], [type="checkbox"])')) return;
  if (submit.getBoundingClientRect().bottom - field.getBoundingClientRect().top <= innerHeight) submit.scrollIntoView({ block: 'nearest' });
}

/** A labelled input. The error of an action that names the field is shown below it, and the field gets the focus. */
export function Field({ name, label, optional, hint, action, after, ...input }) {
  const { t } = useElement();
  const id = useId();
  const element = useRef(null);
  const error = action?.notice?.field === name ? action.notice.text : null;
  useLayoutEffect(() => {
    if (error) element.current.focus();
  }, [action?.notice]);
  const described = [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(' ') || undefined;
  return (
    <div class="field" part="field">
      <label for={id}>{label} {optional && <span class="optional">{t('form.optional')}</span>}{after}</label>
      <input ref={element} id={id} name={name} part="input" dir="auto" aria-invalid={error ? 'true' : undefined} aria-describedby={described} {...input} />
      {hint && <p id={`${id}-hint`} class="hint">{hint}</p>}
      {error && <p id={`${id}-error`} class="field-error" data-code={action.notice.code}>{error}</p>}
    </div>
  );
}

/** A field for a code that a person types or pastes. */
export const CodeField = (properties) => (
  <Field type="text" class="code" maxLength={256} spellcheck={false} autocapitalize="none" dir="ltr" {...properties} />
);

/**
 * Returns the state of a panel: {open, show, hide, opener}; opener is the ref of the button that gets the focus back. The notice of the
 * panel's action is removed with the panel.
 */
export function usePanel(action) {
  const [open, setOpen] = useState(false);
  const opener = useRef(null);
  const restore = useRef(false);
  useLayoutEffect(() => {
    if (open || !restore.current) return;
    restore.current = false;
    opener.current?.focus();
  }, [open]);
  return {
    open,
    opener,
    show: () => setOpen(true),
    hide: ({ focus = true } = {}) => {
      restore.current = focus;
      action.clear();
      setOpen(false);
    },
  };
}

/** The content of an open panel. Its first field gets the focus; a panel with text to read first gets it itself. */
export function Panel({ panel, label, read, children }) {
  const element = useRef(null);
  useLayoutEffect(() => {
    const target = read ? element.current : element.current.querySelector('input');
    target.focus();
    target.select?.();
    element.current.scrollIntoView({ block: 'nearest' });
  }, []);
  return (
    <div
      ref={element}
      class="panel"
      part="panel"
      role="group"
      aria-label={label}
      tabIndex={read ? -1 : undefined}
      onKeyDown={({ key, isComposing }) => {
        if (key === 'Escape' && !isComposing) panel.hide();
      }}
    >
      {children}
    </div>
  );
}
