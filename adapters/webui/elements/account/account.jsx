// <keylodge-account>: the account of the signed-in user.

import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { Button, Notice, useAction } from '../action.jsx';
import { define } from '../element.jsx';
import { Heading } from '../heading.jsx';
import { useElement } from '../provider.jsx';
import { AccountContext, useAccount } from './context.js';
import { Deletion } from './deletion.jsx';
import { Devices } from './devices.jsx';
import { Events } from './events.jsx';
import { Passkeys } from './passkeys.jsx';
import { Profile } from './profile.jsx';
import { Review } from './review.jsx';
import { Section } from './section.jsx';
import { sections } from './sections.js';
import { Summary } from './summary.jsx';
import { WaysBack } from './waysback.jsx';

const endsSession = new Set(['unauthenticated', 'session_expired', 'session_revoked', 'user_disabled']);

/**
 * section is one of the sections to show first. Events: keylodge-signed-out with {error?} when the session has ended, keylodge-section
 * with {section} when the user follows a link of the navigation.
 */
function Account({ section, emit }) {
  const { client, config, ended } = useElement();
  const [account, setAccount] = useState(null);
  const opening = useAction();

  const begun = useRef(0);
  const load = useCallback(async () => {
    begun.current += 1;
    const current = begun.current;
    const [answer, passkeys, factors] = await Promise.all([
      client.session(), client.passkeys.list(), config.recovery.policy === 'off' ? null : client.recovery.factors(),
    ]);
    if (current !== begun.current) return; // a later load shows its result
    if (answer) setAccount({ user: config.mail === 'on' ? answer.user : { ...answer.user, pending_email: null }, session: answer.session, passkeys, factors });
    else emit('signed-out', {});
  }, [client]);

  ended.current = async (error) => {
    if (endsSession.has(error.code)) {
      emit('signed-out', { error });
      return true;
    }
    if (error.code === 'session_changed' || error.status === 404 || error.status === 409) await load().catch(() => {}); // the first error is shown
    return false;
  };
  useEffect(() => void opening.run(load), []);
  useEffect(() => client.onSession(({ type, error }) => {
    if (type === 'ended') emit('signed-out', { error });
    else if (!document.hidden) load().catch(() => {}); // what is shown stays until the server answers
  }), [client]);

  if (!account) {
    return (
      <section aria-busy={opening.busy}>
        {opening.notice && <Retry action={opening} load={load} />}
      </section>
    );
  }
  const context = { ...account, reload: load, setUser: (user) => setAccount((before) => ({ ...before, user })) };
  return (
    <AccountContext.Provider key={account.session.id} value={context}>
      <Greeting emit={emit} />
      <Review />
      <Summary />
      <Navigation current={section} emit={emit} />
      <Section id="passkeys" current={section}><Passkeys /></Section>
      <Section id="ways-back" current={section}><WaysBack /></Section>
      <Section id="devices" current={section}><Devices /></Section>
      <Section id="activity" current={section}><Events /></Section>
      <Section id="profile" current={section}><Profile /></Section>
      <Section id="delete" current={section}><Deletion emit={emit} /></Section>
    </AccountContext.Provider>
  );
}

function Retry({ action, load }) {
  const { t } = useElement();
  return (
    <>
      <Heading>{t('account.title')}</Heading>
      <Notice of={action} />
      <Button name="retry" action={action} onPress={() => action.run(load)}>{t('form.retry')}</Button>
    </>
  );
}

function Greeting({ emit }) {
  const { client, t } = useElement();
  const { user } = useAccount();
  const action = useAction();
  const name = user.display_name ?? user.email ?? user.pending_email ?? t('account.nameless', { tag: user.id.slice(-6).toUpperCase() });
  return (
    <header class="greeting">
      <div>
        <Heading><span class="overline">{t('account.signed_in_as')} </span><bdi data-name="who">{name}</bdi></Heading>
        <Address user={user} shown={name} />
      </div>
      <Button
        name="sign-out" action={action}
        onPress={() => action.run(async () => {
          await client.signOut();
          emit('signed-out', {});
        })}
      >
        {t('account.sign_out')}
      </Button>
      <Notice of={action} />
    </header>
  );
}

function Address({ user, shown }) {
  const { t } = useElement();
  const pending = user.email ? null : user.pending_email;
  const address = user.email ?? pending;
  if (!address) return null;
  return (
    <p class="lead">
      {address !== shown && <bdi data-name="address">{address}</bdi>} {pending && <span class="tag">{t('account.unconfirmed')}</span>}
    </p>
  );
}

function Navigation({ current, emit }) {
  const { t } = useElement();
  return (
    <nav class="sections" aria-label={t('account.sections')}>
      <ul role="list">
        {sections.map((id) => (
          <li key={id}>
            <a
              href={`#${id}`}
              aria-current={id === current ? 'true' : undefined}
              onClick={(event) => {
                event.preventDefault();
                emit('section', { section: id });
                const target = event.currentTarget.getRootNode().getElementById(id);
                target.scrollIntoView();
                target.querySelector('h2').focus({ preventScroll: true });
              }}
            >
              {t(`section.${id.replace('-', '_')}`)}
            </a>
          </li>
        ))}
      </ul>
    </nav>
  );
}

export const defineAccount = () => define('keylodge-account', Account, ['section']);
