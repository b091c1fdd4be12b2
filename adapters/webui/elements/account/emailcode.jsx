// The verification of an e-mail address: the server sends a code to the address, and the user enters it.

import { useLayoutEffect, useRef } from 'preact/hooks';
import { Button, Notice, useAction } from '../action.jsx';
import { CodeField, Form } from '../form.jsx';
import { useElement } from '../provider.jsx';

/** Shown while an address waits for its code. onChange gets the changed user. */
export function EmailCode({ user, ...more }) {
  const { email, email_verified: verified, pending_email: pending } = user;
  const address = pending ?? (verified ? null : email);
  return address && <CodeForm key={address} user={user} address={address} {...more} />;
}

function CodeForm({ user, address, onChange, panel }) {
  const { client, t, times } = useElement();
  const action = useAction({ about: 'email_code' });
  const form = useRef(null);
  const sent = useRef(false); // and the field for the code does not have the focus yet
  useLayoutEffect(() => {
    if (!sent.current) return;
    sent.current = false;
    form.current?.elements.namedItem('code')?.focus();
  });
  const { email, pending_email: pending } = user;

  const send = async () => {
    const { expires_at: expiry } = await client.email.sendCode();
    form.current?.reset();
    sent.current = true;
    onChange({ ...user, pending_email: address });
    return t('email_code.sent', { time: times.clock(expiry) });
  };
  const discard = async () => {
    onChange(await client.account.change({ email }));
    return t('email_code.discarded', { address });
  };
  return (
    <Form
      action={action} class={panel ? 'panel' : undefined} label={t('email_code.title')} formRef={form}
      onSubmit={async ({ code }) => {
        onChange(await client.email.confirm(code));
        return t('email_code.confirmed', { address });
      }}
    >
      {panel && <h3>{t('email_code.title')}</h3>}
      {pending && <p>{t('email_code.lead')} <strong data-name="pending">{pending}</strong></p>}
      {!pending && <p>{t('email_code.unsent', { address })}</p>}
      {pending && <CodeField name="code" action={action} label={t('email_code.code')} inputMode="numeric" autocomplete="one-time-code" required />}
      {pending && email && pending !== email && <p class="hint">{t('email_code.until', { address: email })}</p>}
      <div class="actions">
        {pending && <Button kind="primary small" type="submit" name="confirm-email" action={action}>{t('form.confirm')}</Button>}
        <Button name="send-email-code" action={action} onPress={() => action.run(send)}>{t(pending ? 'email_code.again' : 'email_code.send')}</Button>
        {pending && pending !== email && panel && <Button kind="quiet" name="withdraw-email" action={action} onPress={() => action.run(discard)}>{t('email_code.discard')}</Button>}
      </div>
      <Notice of={action} fields={pending ? ['code'] : []} />
    </Form>
  );
}
