// The account's name and e-mail address.

import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { Button, Notice, useAction } from '../action.jsx';
import { Field, Form, Panel, usePanel } from '../form.jsx';
import { useElement } from '../provider.jsx';
import { useAccount } from './context.js';
import { SectionHeading } from './section.jsx';
import { EmailCode } from './emailcode.jsx';

export function Profile() {
  const { client, config, t } = useElement();
  const { user, setUser } = useAccount();
  const [edits, setEdits] = useState({});
  const form = useRef(null);
  const code = useRef(null);
  const focusCode = useRef(false); // as soon as its field is rendered
  useLayoutEffect(() => {
    if (!focusCode.current) return;
    focusCode.current = false;
    code.current?.querySelector('input')?.focus();
  });
  const mail = config.mail === 'on';
  const shownEmail = user.email ?? (mail ? user.pending_email : null);
  const changed = Object.fromEntries(
    Object.entries({ display_name: user.display_name, email: shownEmail })
      .filter(([name, value]) => name in edits && (edits[name].trim() || null) !== value)
      .map(([name]) => [name, edits[name].trim() || null]),
  );
  const action = useAction({ about: 'email' in changed ? 'email' : undefined });
  const removing = usePanel(action); // of the address: it asks first

  const save = async () => {
    if (Object.keys(changed).length === 0) return t('profile.unchanged');
    const saved = await client.account.change(changed);
    setEdits({});
    removing.hide({ focus: false });
    setUser(saved);
    if (mail && changed.email && hasFocus(form.current)) focusCode.current = true;
    return mail && changed.email && saved.pending_email ? t('profile.code_sent', { address: saved.pending_email }) : t('profile.saved');
  };
  const edit = (name) => (event) => setEdits((before) => ({ ...before, [name]: event.target.value }));
  return (
    <>
      <SectionHeading of="profile">{t('profile.title')}</SectionHeading>
      <Form
        action={action} label={t('profile.title')} formRef={form}
        onSubmit={() => {
          if (changed.email === null && user.email && !removing.open) return void removing.show();
          return save();
        }}
      >
        <div class="fields">
          <Field name="display_name" type="text" action={action} label={t('form.name')} autocomplete="name" maxLength={64} value={edits.display_name ?? user.display_name ?? ''} onInput={edit('display_name')} />
          {config.email !== 'off' && (
            <Field
              name="email" type="email" action={action} label={t('form.email')} autocomplete="email" maxLength={254} spellcheck={false} autocapitalize="none"
              value={edits.email ?? shownEmail ?? ''} onInput={edit('email')}
              after={mail && !('email' in edits) && shownEmail && <EmailStatus user={user} />}
            />
          )}
        </div>
        {!removing.open && <div class="actions"><Button type="submit" name="save-account" action={action}>{t('form.save')}</Button></div>}
        {removing.open && (
          <Panel panel={removing} label={t('profile.remove_email')} read>
            <p>{t('profile.remove_email_question')}</p>
            <div class="actions">
              <Button kind="danger small" name="confirm-remove-email" action={action} onPress={() => action.run(save)}>{t('profile.remove_email')}</Button>
              <Button name="cancel" onPress={() => { setEdits({}); removing.hide(); }}>{t('form.cancel')}</Button>
            </div>
          </Panel>
        )}
        <Notice of={action} fields={['display_name', 'email']} />
      </Form>
      {mail && <div ref={code}><EmailCode user={user} onChange={setUser} panel /></div>}
    </>
  );
}

// Also true if no element has the focus: some browsers do not focus a button that is clicked.
function hasFocus(form) {
  const focused = form.getRootNode().activeElement;
  return focused === null || form.contains(focused);
}

function EmailStatus({ user: { email, email_verified: verified } }) {
  const { t } = useElement();
  if (email && verified) return <span class="status" data-name="confirmed">{t('profile.confirmed')}</span>;
  return <span class="status" data-name={email ? 'unconfirmed' : 'waiting'}>{t('profile.waiting')}</span>;
}
