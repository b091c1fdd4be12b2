// The account's passkeys.

import { Button, Notice, useAction } from '../action.jsx';
import { Field, Form, Panel, usePanel } from '../form.jsx';
import { useElement } from '../provider.jsx';
import { useAccount } from './context.js';
import { SectionHeading } from './section.jsx';
import { Passkey, names } from './passkey.jsx';

export function Passkeys() {
  const { client, t } = useElement();
  const { passkeys, session, reload } = useAccount();
  const action = useAction({ about: 'add_passkey' });
  const panel = usePanel(action);
  const named = names(passkeys, t);
  return (
    <>
      <SectionHeading of="passkeys">{t('passkeys.title')}</SectionHeading>
      <p class="lead">{t('passkeys.lead')}</p>
      <ul class="entries" role="list">
        {passkeys.map((passkey) => (
          <Passkey key={passkey.id} passkey={passkey} name={named.get(passkey.id)} removable={removable(passkeys, passkey)} current={passkey.id === session.passkey_id} />
        ))}
      </ul>
      {passkeys.length === 1 && <p class="hint">{t('passkeys.second')}</p>}
      {panel.open ? (
        <Panel panel={panel} label={t('passkeys.add')}>
          <Form
            action={action}
            onSubmit={async ({ passkey_name: name }) => {
              await client.passkeys.add({ name });
              panel.hide();
              await reload();
              return t('passkeys.added');
            }}
          >
            <Field name="passkey_name" type="text" action={action} label={t('passkeys.new_name')} optional autocomplete="off" maxLength={64} />
            <Notice of={action} fields={['passkey_name']} />
            <div class="actions">
              <Button kind="primary small" type="submit" name="make-passkey" action={action}>{t('passkeys.make')}</Button>
              <Button name="cancel" onPress={panel.hide}>{t('form.cancel')}</Button>
            </div>
          </Form>
        </Panel>
      ) : (
        <>
          <Button name="add-passkey" ref={panel.opener} onPress={() => { action.clear(); panel.show(); }}>{t('passkeys.add')}</Button>
          <Notice of={action} />
        </>
      )}
    </>
  );
}

// The server keeps the last active passkey.
function removable(passkeys, passkey) {
  return passkeys.some(({ id, status }) => id !== passkey.id && (status === 'active' || passkey.status !== 'active'));
}
