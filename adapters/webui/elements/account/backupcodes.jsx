// Backup codes: making them, and how many are left.

import { useState } from 'preact/hooks';
import { Button, Notice, useAction } from '../action.jsx';
import { Panel, usePanel } from '../form.jsx';
import { useElement } from '../provider.jsx';
import { Time } from '../time.jsx';
import { useAccount } from './context.js';
import { CodeSheet } from './codesheet.jsx';

const lowCount = 3; // a reminder is shown at this many codes or fewer

export function BackupCodes({ state: { remaining, generated_at: madeAt } }) {
  const { client, t } = useElement();
  const { user, reload } = useAccount();
  const [codes, setCodes] = useState(null);
  const action = useAction();
  const replacing = usePanel(action);
  const make = async () => {
    const made = await client.recovery.makeBackupCodes();
    replacing.hide({ focus: false });
    setCodes(made);
    await reload();
  };
  const press = () => {
    action.clear();
    if (remaining > 0) replacing.show();
    else action.run(make);
  };
  return (
    <li>
      <div class="entry">
        <h3>{t('codes.name')}</h3>
        <p class="facts">
          {madeAt === null ? t('codes.about') : <><span data-name="codes-left">{t('codes.left', { count: remaining })}</span><span>{t('codes.made')} <Time of={madeAt} as="day" /></span></>}
        </p>
        {remaining <= lowCount && !codes && <p class="reminder">{t(madeAt === null ? 'codes.none' : remaining === 0 ? 'codes.all_used' : 'codes.few', { count: remaining })}</p>}
      </div>
      {codes && (
        <CodeSheet
          codes={codes} user={user}
          onStored={() => {
            setCodes(null);
            replacing.opener.current?.focus();
          }}
        />
      )}
      {replacing.open && (
        <Panel panel={replacing} label={t('codes.make_new')} read>
          <p>{t('codes.replace_question')}</p>
          <div class="actions">
            <Button kind="primary small" name="replace-codes" action={action} onPress={() => action.run(make)}>{t('codes.make_new')}</Button>
            <Button name="cancel" onPress={replacing.hide}>{t('codes.keep')}</Button>
          </div>
        </Panel>
      )}
      {!codes && !replacing.open && (
        <div class="actions">
          <Button kind="quiet" name="make-codes" action={action} ref={replacing.opener} onPress={press}>{t(madeAt === null ? 'codes.make' : 'codes.make_new')}</Button>
        </div>
      )}
      <Notice of={action} />
    </li>
  );
}
