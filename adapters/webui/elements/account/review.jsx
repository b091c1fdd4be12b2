// The review after a recovery: the passkeys that existed before it. A finder of the lost device may hold one of them.

import { useState } from 'preact/hooks';
import { Button, Notice, useAction } from '../action.jsx';
import { usePanel } from '../form.jsx';
import { Heading } from '../heading.jsx';
import { useElement } from '../provider.jsx';
import { useAccount } from './context.jsx';
import { PasskeySummary, Removal, names } from './passkey.jsx';

// What the user has decided, for the session: a reload does not ask again.
const storeKey = (session) => `keylodge-review-${session.id}`;

export function Review() {
  const { config, t } = useElement();
  const { session, passkeys } = useAccount();
  const [decided, setDecided] = useState(() => JSON.parse(sessionStorage.getItem(storeKey(session)) ?? '{"kept":[],"done":false}'));
  if (session.assurance !== 'recovery' || decided.done) return null;

  const save = (next) => {
    sessionStorage.setItem(storeKey(session), JSON.stringify(next));
    setDecided(next);
  };
  const earlier = passkeys.filter(({ id, created_at: at }) => Date.parse(at) < Date.parse(session.created_at) && !decided.kept.includes(id));
  const named = names(passkeys, t);
  return (
    <section class="review" part="review" aria-labelledby="review-heading">
      <Heading level={2} id="review-heading">{t('review.title')}</Heading>
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
    </section>
  );
}

function Earlier({ passkey, name, keep }) {
  const { t } = useElement();
  const action = useAction();
  const removing = usePanel();
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
