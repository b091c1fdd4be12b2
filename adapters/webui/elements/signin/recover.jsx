// Recovery, first step: codes that authorise the creation of a new passkey.

import { useState } from 'preact/hooks';
import { Button, Notice, useAction } from '../action.jsx';
import { CodeField, Field, Form } from '../form.jsx';
import { Heading } from '../heading.jsx';
import { useElement } from '../provider.jsx';
import { Support } from '../support.jsx';
import { Link } from './choose.jsx';

export function Recover({ go, enrolWith, email, setEmail }) {
  const { client, config, t } = useElement();
  const both = config.recovery.policy === 'both';
  const [by, setBy] = useState('backup');
  const action = useAction({ about: 'recovery' });
  const app = both || by === 'app';
  const backup = both || by === 'backup';
  // A wrong code is shown at its field; with two codes the response does not say which one was wrong.
  const shown = action.notice?.code === 'invalid_code' ? { ...action, notice: { ...action.notice, field: backup ? 'backup_code' : 'totp_code' } } : action;

  if (config.recovery.policy === 'off') {
    return (
      <section>
        <Heading>{t('recover.title')}</Heading>
        <p class="lead">{t('recover.off')}<Support /></p>
        <p class="ways"><Link to="sign-in" go={go}>{t('recover.back')}</Link></p>
      </section>
    );
  }
  return (
    <section>
      <Heading>{t('recover.title')}</Heading>
      <p class="lead">{t(both ? 'recover.lead_both' : 'recover.lead_any')}</p>
      <Form
        action={action}
        label={t('recover.title')}
        onSubmit={async (values) => {
          const { grant_token: token } = await client.recovery.redeem({
            ...(app ? { [values.account.includes('@') ? 'email' : 'user_id']: values.account, totp_code: values.totp_code } : {}),
            ...(backup ? { backup_code: values.backup_code } : {}),
          });
          enrolWith(token);
        }}
      >
        {!both && (
          <fieldset class="choices">
            <legend>{t('recover.choice')}</legend>
            {['backup', 'app'].map((factor) => (
              <label key={factor}>
                <input type="radio" name="by" value={factor} checked={by === factor} onChange={() => setBy(factor)} />
                <span>{t(`recover.by_${factor}`)}</span>
              </label>
            ))}
          </fieldset>
        )}
        {app && (
          <>
            <Field
              name="account" type="text" action={shown} label={t(config.email === 'off' ? 'recover.account_id' : 'recover.account')} value={email}
              onInput={(event) => setEmail(event.target.value)} autocomplete="username" maxLength={254} spellcheck={false} autocapitalize="none" required
            />
            <CodeField name="totp_code" action={shown} label={t('recover.app_code')} inputMode="numeric" autocomplete="one-time-code" required />
          </>
        )}
        {backup && <CodeField name="backup_code" action={shown} label={t('recover.backup_code')} autocomplete="off" placeholder="xxxx-xxxx-xxxx-xxxx" required />}
        <Button kind="primary" type="submit" name="recover" action={action}>{t('recover.continue')}</Button>
        <Notice of={shown} fields={['account', 'email', 'user_id', 'totp_code', 'backup_code']} />
      </Form>
      <p class="hint">{t('recover.none')}<Support /></p>
      <p class="ways"><Link to="sign-in" go={go}>{t('recover.back')}</Link></p>
    </section>
  );
}
