// One passkey: what it is, and renaming and removing it.

import { Button, Notice, useAction } from '../action.jsx';
import { Field, Form, Panel, usePanel } from '../form.jsx';
import { Icon } from '../icon.jsx';
import { isSecurityKey } from '../passkeykind.js';
import { useElement } from '../provider.jsx';
import { Time } from '../time.jsx';
import { useAccount } from './context.js';

export function Passkey({ passkey, name, removable, current }) {
  const { client, t } = useElement();
  const { reload } = useAccount();
  const action = useAction();
  const renaming = usePanel(action);
  const removing = usePanel(action);
  return (
    <li data-id={passkey.id} data-given-name={passkey.name ?? ''} data-status={passkey.status}>
      <PasskeySummary passkey={passkey} name={name} current={current} />
      {!renaming.open && !removing.open && (
        <div class="actions">
          <Button kind="quiet" name="rename" aria-label={t('passkeys.rename_name', { name })} ref={renaming.opener} onPress={() => { action.clear(); renaming.show(); }}>{t('passkeys.rename')}</Button>
          {removable
            ? <Button kind="quiet" name="remove" aria-label={t('passkeys.remove_name', { name })} ref={removing.opener} onPress={() => { action.clear(); removing.show(); }}>{t('passkeys.remove')}</Button>
            : <p class="hint">{t('passkeys.only')}</p>}
        </div>
      )}
      {renaming.open && (
        <Panel panel={renaming} label={t('passkeys.rename_name', { name })}>
          <Form
            action={action}
            onSubmit={async ({ name: typed }) => {
              await client.passkeys.rename(passkey.id, typed || null);
              renaming.hide();
              await reload();
              return typed ? t('passkeys.renamed', { name: typed }) : t('passkeys.name_removed');
            }}
          >
            <Field name="name" type="text" action={action} label={t('passkeys.name')} optional autocomplete="off" maxLength={64} defaultValue={passkey.name ?? ''} />
            <div class="actions">
              <Button kind="primary small" type="submit" name="save" action={action}>{t('form.save')}</Button>
              <Button name="cancel" onPress={renaming.hide}>{t('form.cancel')}</Button>
            </div>
          </Form>
        </Panel>
      )}
      {removing.open && <Removal passkey={passkey} name={name} panel={removing} action={action} />}
      <Notice of={action} fields={renaming.open ? ['name'] : []} />
    </li>
  );
}

/** The question whether to remove a passkey, and its removal. */
export function Removal({ passkey, name, panel, action }) {
  const { client, t } = useElement();
  const { reload } = useAccount();
  const remove = async () => {
    await client.passkeys.remove(passkey.id);
    await reload();
    return t('passkeys.removed', { name });
  };
  return (
    <Panel panel={panel} label={t('passkeys.remove_name', { name })} read>
      <p>{t('passkeys.remove_question', { name })}</p>
      <div class="actions">
        <Button kind="danger small" name="confirm-remove" action={action} onPress={() => action.run(remove)}>{t('passkeys.remove_confirm')}</Button>
        <Button name="cancel" onPress={panel.hide}>{t('form.cancel')}</Button>
      </div>
    </Panel>
  );
}

/** What a list says about a passkey. */
export function PasskeySummary({ passkey, name, current }) {
  const { t } = useElement();
  const model = passkey.authenticator.name;
  return (
    <div class="entry with-icon">
      <Icon name={isSecurityKey(passkey) ? 'key' : passkey.backed_up ? 'cloud' : 'device'} />
      <div>
        <h3>
          <bdi data-name="name">{name}</bdi>
          {current && <> <span class="tag" data-name="current">{t('passkeys.current')}</span></>}
          {passkey.status === 'suspended' && <> <span class="tag warning">{t('passkeys.suspended')}</span></>}
        </h3>
        <p class="facts">
          {model && model !== name && <span>{model}</span>}
          <span data-name="sync">{t(passkey.backed_up ? 'passkeys.synced' : passkey.backup_eligible ? 'passkeys.not_synced' : 'passkeys.bound')}</span>
        </p>
        <p class="facts">
          <span>{t('passkeys.created')} <Time of={passkey.created_at} as="day" /></span>
          {passkey.last_used_at && <span>{t('passkeys.last_used')} <Time of={passkey.last_used_at} /></span>}
        </p>
        {passkey.status === 'suspended' && <p class="why">{t('passkeys.suspended_why')}</p>}
      </div>
    </div>
  );
}

/** Returns the shown names by id. Passkeys that would have the same name are numbered. */
export function names(passkeys, t) {
  const base = (passkey) => passkey.name ?? passkey.authenticator.name ?? t(isSecurityKey(passkey) ? 'passkeys.security_key' : 'passkeys.passkey');
  const groups = new Map();
  for (const passkey of passkeys) groups.set(base(passkey), [...(groups.get(base(passkey)) ?? []), passkey]);
  return new Map([...groups].flatMap(([name, same]) => same.map(({ id }, index) => [id, same.length > 1 ? `${name} (${index + 1})` : name])));
}
