// Actions: what a button does, with its result beside it.

import { createContext } from 'preact';
import { useContext, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { errorText } from './errors.js';
import { useElement } from './provider.jsx';
import { Address } from './support.jsx';

/** Shows the notice of an action whose place is gone, such as that of a removed entry. */
export const LostNotice = createContext(null);

/**
 * Returns an action: {busy, notice, run, start, show, clear}. run(work) runs work, an async function, unless another action of the
 * element runs: a press is then ignored. start(work) waits for the other action, and is for what no press begins. The text that work
 * returns, or its error, becomes the notice: {tone, text, code?, field?, link?}, which replaces that of any other action. about is the
 * subject of the form, as errorText takes it.
 */
export function useAction({ about } = {}) {
  const { t, has, config, lock, announce, emit, ended } = useElement();
  const [busy, setBusy] = useState(false);
  const [notice, setNotice] = useState(null);
  const showLost = useContext(LostNotice);
  const gone = useRef(false);
  useLayoutEffect(() => () => { gone.current = true; }, []);

  const clear = () => setNotice(null);
  const show = (next) => {
    if (gone.current) return showLost?.(next);
    lock.show(clear);
    setNotice(next);
    announce(next.text, { alert: next.tone === 'alert' });
  };
  const fail = (error) => {
    emit('error', { error });
    const next = errorText(error, { t, has, config, about });
    if (next) show(next);
  };
  const run = async (work) => {
    if (!lock.take()) return;
    lock.show(clear);
    setBusy(true);
    clear();
    try {
      const text = await work();
      if (text) show({ tone: 'info', text });
    } catch (error) {
      if (!(await ended.current(error))) fail(error);
    } finally {
      setTimeout(() => { // when the result is rendered
        setBusy(false);
        lock.release();
      });
    }
  };
  const start = async (work) => {
    await lock.freed();
    if (!gone.current) run(work);
  };
  return { busy, notice, run, start, show, fail, clear };
}

/** Shows an action's notice, unless it stands beside its field. */
export function Notice({ of: { notice }, fields = [] }) {
  const element = useRef(null);
  useLayoutEffect(() => element.current?.scrollIntoView({ block: 'nearest' }), [notice]);
  if (!notice || fields.includes(notice.field)) return null;
  return (
    <p ref={element} class="notice" part="notice" data-tone={notice.tone} data-code={notice.code}>
      {notice.text}
      {notice.link && <> <Address of={notice.link} /></>}
    </p>
  );
}

/** A button. While its action runs it keeps the focus and ignores presses. */
export function Button({ kind = 'secondary small', type = 'button', action, onPress, children, ...more }) {
  return (
    <button
      type={type}
      class={kind}
      part={`button ${kind.split(' ')[0]}`}
      aria-disabled={action?.busy ? 'true' : undefined}
      onClick={(event) => {
        if (action?.busy) event.preventDefault();
        else onPress?.(event);
      }}
      {...more}
    >
      <span>{children}</span>
    </button>
  );
}
