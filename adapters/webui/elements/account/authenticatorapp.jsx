// The authenticator app (TOTP): set-up, which the first code of the app confirms, and removal.

import { useState } from 'preact/hooks';
import { Button, Notice, useAction } from '../action.jsx';
import { CodeField, Form, Panel, usePanel } from '../form.jsx';
import { useElement } from '../provider.jsx';
import { Time } from '../time.jsx';
import { useAccount } from './context.js';

export function AuthenticatorApp({ state: { enrolled, confirmed_at: since } }) {
  const { client, t } = useElement();
  const { user, reload } = useAccount();
  const [secret, setSecret] = useState(null); // {secret, otpauth_uri, qr_png}, while the app is set up
  const action = useAction({ about: 'totp' });
  const setup = usePanel(action);
  const removing = usePanel(action);
  const close = () => {
    setSecret(null);
    setup.hide();
  };
  return (
    <li>
      <div class="entry">
        <h3>{t('totp.name')}</h3>
        <p class="facts">{enrolled ? <span>{t('totp.since')} <Time of={since} as="day" /></span> : t('totp.about')}</p>
        {(enrolled || setup.open) && !user.email && <p class="why">{t(user.pending_email ? 'totp.id_pending' : 'totp.id_no_email')} <code data-name="account-id">{user.id}</code></p>}
      </div>
      {!setup.open && !removing.open && (
        <div class="actions">
          <Button
            kind="quiet" name="set-up-app" action={action} ref={setup.opener}
            onPress={() => action.run(async () => {
              setSecret(await client.recovery.setUpTOTP());
              setup.show();
            })}
          >
            {t(enrolled ? 'totp.replace' : 'totp.set_up')}
          </Button>
          {enrolled && <Button kind="quiet" name="remove-app" ref={removing.opener} onPress={() => { action.clear(); removing.show(); }}>{t('totp.remove')}</Button>}
        </div>
      )}
      {setup.open && (
        <Panel panel={{ ...setup, hide: close }} label={t('totp.title')}>
          <Form
            action={action}
            onSubmit={async ({ code }) => {
              await client.recovery.confirmTOTP(code);
              close();
              await reload();
              return t('totp.done');
            }}
          >
            <h4>{t('totp.title')}</h4>
            <div class="scan">
              <p class="touch-first"><a href={secret.otpauth_uri} data-name="app-link">{t('totp.open')}</a></p>
              <div>
                <p>{t('totp.scan')}</p>
                <img src={secret.qr_png} alt={t('totp.qr')} width="208" height="208" data-name="app-qr" />
              </div>
              <p>
                {t('totp.key')} <code data-name="app-secret">{secret.secret.replace(/.{4}(?=.)/g, '$& ')}</code>{' '}
                <CopyButton text={secret.secret} />
              </p>
            </div>
            <CodeField name="code" action={action} label={t('totp.code')} inputMode="numeric" autocomplete="one-time-code" required />
            {enrolled && <p class="hint">{t('totp.until')}</p>}
            <div class="actions">
              <Button kind="primary small" type="submit" name="confirm-app" action={action}>{t('form.confirm')}</Button>
              <Button name="cancel" onPress={close}>{t('form.cancel')}</Button>
            </div>
          </Form>
        </Panel>
      )}
      {removing.open && (
        <Panel panel={removing} label={t('totp.remove')} read>
          <p>{t('totp.remove_question')}</p>
          <div class="actions">
            <Button
              kind="danger small" name="confirm-remove-app" action={action}
              onPress={() => action.run(async () => {
                await client.recovery.removeTOTP();
                removing.hide();
                await reload();
                return t('totp.removed');
              })}
            >
              {t('totp.remove_confirm')}
            </Button>
            <Button name="cancel" onPress={removing.hide}>{t('form.cancel')}</Button>
          </div>
        </Panel>
      )}
      <Notice of={action} fields={setup.open ? ['code'] : []} />
    </li>
  );
}

function CopyButton({ text }) {
  const { t } = useElement();
  const [copied, setCopied] = useState(false);
  return (
    <Button kind="quiet" name="copy-secret" onPress={() => navigator.clipboard.writeText(text).then(() => setCopied(true), () => setCopied(false))}>
      {t(copied ? 'totp.key_copied' : 'totp.copy_key')}
    </Button>
  );
}
