// The review after a recovery: the passkeys that existed before it. A finder of the lost device may hold one of them.

import { useEffect, useState } from 'preact/hooks';
import { Button, Notice, useAction } from '../action.jsx';
import { usePanel } from '../form.jsx';
import { useElement } from '../provider.jsx';
import { useAccount } from './context.js';
import { PasskeySummary, Removal, names } from './passkey.jsx';
import { Section, SectionHeading } from './section.jsx';

// What the user has decided, for the session: neither a reload nor a step-up, which changes the assurance, ends the review.
const storeKey = (session) => `keylodge-review-${session.id}`;

function stored(session) {
  const text = sessionStorage.getItem(storeKey(session));
  if (text) return JSON.parse(text);
  return session.assurance === 'recovery' ? { kept: [], done: false } : { done: true };
}

export function Review() {
  const { config, t } = useElement();
  const { session, passkeys } = useAccount();
  const [decided, setDecided] = useState(() => stored(session));
  useEffect(() => {
    if (!decided.done) sessionStorage.setItem(storeKey(session), JSON.stringify(decided));
  }, []);
  if (decided.done) return null;

  const save = (next) => {
    sessionStorage.setItem(storeKey(session), JSON.stringify(next));
    setDecided(next);
  };
  const earlier = passkeys.filter(({ id, created_at: at }) => Date.parse(at) < Date.parse(session.created_at) && !decided.kept.includes(id));
  const named = names(passkeys, t);
  return (
    <Section id="review" class="review" part="review">
      <SectionHeading of="review">{t('review.title')}</SectionHeading>
      <p>{t('review.lead')}</p>
      {earlier.length > 0 && <p>{t('review.ask')}</p>}
      <ul class="entries" role="list">
        {earlier.map((passkey) => (
          <Earlier key={passkey.id} passkey={passkey} name={named.get(passkey.id)} keep={() => save({ ...decided, kept: [...decided.kept, passkey.id] })} />
        ))}
      </ul>
      {config.recovery.policy !== 'off' && <p data-name="review-factors">{t('review.factors')}</p>}
      <div class="actions">
        <Button name="end-review" onPress={() => save({ ...decided, done: true })}>{t(earlier.length > 0 ? 'review.later' : 'review.done')}</Button>
      </div>
    </Section>
  );
}

function Earlier({ passkey, name, keep }) {
  const { t } = useElement();
  const action = useAction();
  const removing = usePanel(action);
  return (
    <li data-id={passkey.id}>
      <PasskeySummary passkey={passkey} name={name} />
      {removing.open ? (
        <Removal passkey={passkey} name={name} panel={removing} action={action} />
      ) : (
        <div class="actions">
          <Button kind="quiet" name="keep" aria-label={t('review.keep_name', { name })} onPress={keep}>{t('review.keep')}</Button>
          <Button kind="quiet" name="remove" aria-label={t('passkeys.remove_name', { name })} ref={removing.opener} onPress={removing.show}>{t('passkeys.remove')}</Button>
        </div>
      )}
      <Notice of={action} />
    </li>
  );
}
