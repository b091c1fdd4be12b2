// <keylodge-sign-in>: sign-in, sign-up and recovery.

import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { Notice } from '../action.jsx';
import { define } from '../element.jsx';
import { errorText, isMisplaced } from '../errors.js';
import { useElement } from '../provider.jsx';
import { Heading } from '../heading.jsx';
import { Choose } from './choose.jsx';
import { Enrol } from './enrol.jsx';
import { Recover } from './recover.jsx';
import { SignUp } from './signup.jsx';

const views = { 'sign-in': Choose, 'sign-up': SignUp, recover: Recover, enrol: Enrol };

/**
 * view is 'sign-in', 'sign-up' or 'recover'. grant is the token of a recovery link, which opens the creation of a new passkey. invite is
 * the token of an invite, for a sign-up. notice is why the user is signed out: 'signed_out', 'deleted', or the code of an error. Events: keylodge-view with {view} before another
 * view is shown, keylodge-signed-in with {user, session} when everything is done, keylodge-error with {error}.
 */
function SignIn({ view: wanted, grant: linked, invite, notice, emit }) {
  const { client, config, host, lock } = useElement();
  const [view, setView] = useState(wanted ?? 'sign-in');
  const [grant, setGrant] = useState(null);
  const [after, setAfter] = useState(null); // {session, steps}, after a sign-up or a sign-in
  const [email, setEmail] = useTyped('email'); // typed in one view, offered in the next
  const [name, setName] = useTyped('name');
  const obstacle = client.obstacle() ?? (isMisplaced(config.rp_id) ? 'wrong_domain' : null);

  const [requested, setRequested] = useState(wanted);
  if (wanted !== requested) { // the attribute has changed
    setRequested(wanted);
    setView(wanted ?? 'sign-in');
  }
  useEffect(() => {
    if (!linked) return;
    setGrant({ token: linked, linked: true });
    setView('enrol');
  }, [linked]);

  const go = (next) => {
    if (emit('view', { view: next })) setView(next);
  };
  const done = (answer) => {
    for (const field of ['email', 'name']) sessionStorage.removeItem(typedKey(field));
    emit('signed-in', { user: answer.user, session: answer.session });
  };
  const arrived = useRef(null); // the session; a suggestion reports it twice
  // Shows the step that choose returns, if it returns one. If the steps do not arrive, the user is signed in all the same.
  const follow = async (session, choose) => {
    const parts = await import('../signedin.js').catch(() => null);
    const step = parts && (await choose(parts));
    if (!step) return done(session);
    setAfter({ session, steps: parts.steps });
    setView(step);
  };
  const signedIn = async (answer) => {
    if (arrived.current === answer.session.id) return;
    arrived.current = answer.session.id;
    if (answer.attachment !== 'cross-platform') return done(answer);
    await follow(answer, async ({ offersLocalPasskey }) => (await offersLocalPasskey(client, answer)) && 'local-passkey');
  };
  // A sign-in of another tab, or one by a suggestion.
  useEffect(() => client.onSession((event) => {
    if (event.type === 'created' && view === 'sign-in' && !lock.held()) signedIn(event);
  }), [client, view]);
  const signedUp = (answer) => follow(answer, () => (answer.user.pending_email ? 'confirm-email' : 'way-back'));
  const enrolWith = (token) => {
    setGrant({ token });
    setView('enrol');
  };

  useLayoutEffect(() => void (host.dataset.view = view), [view]);

  if (obstacle) return <Obstacle code={obstacle} />;
  const View = views[view] ?? after?.steps[view] ?? Choose;
  return (
    <View
      key={view}
      {...{ go, signedIn, signedUp, enrolWith, grant, invite, email, setEmail, name, setName, notice }}
      session={after?.session}
      next={() => setView('way-back')}
      done={() => done(after.session)}
    />
  );
}

// Passkeys cannot work here: the page says so before anything is filled in.
function Obstacle({ code }) {
  const { t, has, config } = useElement();
  return (
    <section>
      <Heading>{t('sign_in.title')}</Heading>
      <Notice of={{ notice: errorText({ code }, { t, has, config }) }} />
    </section>
  );
}

const typedKey = (name) => `keylodge-${name}`;

// A field's text that survives a reload of the page.
function useTyped(name) {
  const [text, setText] = useState(() => sessionStorage.getItem(typedKey(name)) ?? '');
  return [text, (next) => {
    sessionStorage.setItem(typedKey(name), next);
    setText(next);
  }];
}

export const defineSignIn = () => define('keylodge-sign-in', SignIn, ['view', 'grant', 'invite', 'notice']);
