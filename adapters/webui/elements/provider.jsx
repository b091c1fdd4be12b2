// What every component of an element needs: the client, the server's configuration, the language, and the live regions.

import { createContext } from 'preact';
import { useContext, useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { clientOf } from './client.js';
import { bestLanguage, loadMessages, translator } from './messages.js';
import { Retry } from './retry.jsx';
import { timeFormats } from './times.js';

const Context = createContext(null);

/**
 * Returns {client, config, t, has, times, announce, host, emit, lock, ended, first}.
 *
 * - has(key) reports whether there is a message.
 * - announce(text, {alert}) speaks a text in a live region.
 * - lock.take() returns false while an action runs, which lock.held() reports: an element runs one at a time. lock.freed() resolves when
 *   none runs. lock.show(clear) clears the notice before: an element shows one at a time.
 * - ended.current(error) resolves to whether an error ended the session, which is shown elsewhere. If the error says that the view is
 *   outdated, it loads the view again.
 */
export const useElement = () => useContext(Context);

const retryTime = 3_000; // in milliseconds

/**
 * Provides the context once the configuration and the messages are loaded. Until then it shows that it loads, and offers to try again; if
 * silent, it shows nothing, and tries again by itself.
 */
export function Provider({ host, origin, language, emit, silent, children }) {
  const client = useMemo(() => clientOf(origin ?? location.origin), [origin]);
  const [loaded, setLoaded] = useState(null);
  const [failed, setFailed] = useState(false);
  const status = useRef(null);
  const alert = useRef(null);

  const load = async () => {
    setFailed(false);
    try {
      const wanted = bestLanguage(language, host.closest('[lang]')?.lang, ...navigator.languages);
      const tag = wanted ?? bestLanguage((await client.config()).language, 'en');
      const [config, { direction, texts }] = await Promise.all([client.config(), loadMessages(tag)]);
      host.dir = direction;
      setLoaded({ config, texts, tag });
    } catch {
      if (!silent) setFailed(true);
      else if (host.isConnected) setTimeout(load, retryTime);
    }
  };
  useEffect(() => void load(), [client, language]);

  const context = useMemo(() => {
    if (!loaded) return null;
    const { tag, texts } = loaded;
    const t = translator(texts, tag);
    return {
      client, config: loaded.config, t, has: (key) => key in texts, times: timeFormats(tag, t, () => client.now()),
      announce: (text, options) => announce((options?.alert ? alert : status).current, text),
      host, emit,
      lock: lockOf(host),
      ended: { current: async () => false },
      first: { current: !host.hasAttribute('autofocus') }, // whether no view has been shown yet
    };
  }, [loaded, client]);

  return (
    <>
      <div class="live" role="status" ref={status} />
      <div class="live" role="alert" ref={alert} />
      {context ? <Context.Provider value={context}>{children}</Context.Provider> : !silent && <Retry failed={failed} again={load} />}
    </>
  );
}

// The host says that it is busy, for assistive technology and for the page.
function lockOf(host) {
  let held = false;
  const waiting = [];
  let clear = null;
  const set = (on) => {
    held = on;
    host.setAttribute('aria-busy', String(on));
  };
  return {
    held: () => held,
    take: () => !held && (set(true), true),
    freed: () => (held ? new Promise((resolve) => { waiting.push(resolve); }) : Promise.resolve()),
    release: () => {
      set(false);
      for (const resolve of waiting.splice(0)) resolve();
    },
    show: (next) => {
      if (next !== clear) clear?.();
      clear = next;
    },
  };
}

// A region that gets the same text again is spoken again.
function announce(region, text) {
  region.textContent = '';
  setTimeout(() => { region.textContent = text; }, 50);
}
