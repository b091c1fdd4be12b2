// The devices where the user is signed in: the account's sessions.

import { useState } from 'preact/hooks';
import { Button, Notice, useAction } from '../action.jsx';
import { useElement } from '../provider.jsx';
import { Time } from '../time.jsx';
import { useAccount } from './context.js';
import { SectionHeading } from './section.jsx';
import { names } from './passkey.jsx';
import { usePagedList } from './pagedlist.js';

export function Devices() {
  const { client, t } = useElement();
  const { session, passkeys } = useAccount();
  const list = usePagedList((page) => client.sessions.list(page), [session.id, passkeys]);
  const [ended, setEnded] = useState(() => new Set()); // their entries stay, so that no other entry moves under the pointer
  const others = useAction();
  const more = useAction();
  const passkeyNames = names(passkeys, t);
  return (
    <>
      <SectionHeading of="devices">{t('devices.title')}</SectionHeading>
      <ul class="entries" role="list" aria-busy={list.busy}>
        {list.items.map((each) => (
          <Device key={each.id} session={each} passkey={passkeyNames.get(each.passkey_id)} ended={ended.has(each.id)} onEnded={() => setEnded((before) => new Set(before).add(each.id))} />
        ))}
      </ul>
      <div class="actions">
        {list.more && <Button name="more-devices" action={more} onPress={() => more.run(list.extend)}>{t('form.more')}</Button>}
        {list.items.length > 1 && (
          <Button
            name="sign-out-others" action={others}
            onPress={() => others.run(async () => {
              const count = await client.sessions.endOthers();
              setEnded(new Set());
              await list.load();
              return count === 0 ? t('devices.none_ended') : t('devices.ended', { count });
            })}
          >
            {t('devices.end_others')}
          </Button>
        )}
      </div>
      <Notice of={more} />
      <Notice of={others} />
    </>
  );
}

function Device({ session, passkey, ended, onEnded }) {
  const { client, t } = useElement();
  const action = useAction();
  const name = session.device.name || t('devices.unknown');
  return (
    <li data-id={session.id} data-current={session.current} class={ended ? 'ended' : undefined}>
      <div class="entry">
        <h3>
          <bdi data-name="name">{name}</bdi>
          {session.current && <> <span class="tag">{t('devices.this')}</span></>}
          {session.transport === 'bearer' && <> <span class="tag">{t('devices.app')}</span></>}
          {ended && <> <span class="tag">{t('devices.signed_out')}</span></>}
        </h3>
        <p class="facts"><span>{t('devices.seen')} <Time of={session.last_seen_at} /></span>{session.device.ip && <span data-name="ip">{session.device.ip}</span>}</p>
        <p class="facts"><span>{t('devices.since')} <Time of={session.created_at} /></span>{passkey && <span data-name="passkey">{t('devices.passkey', { name: passkey })}</span>}</p>
      </div>
      {!session.current && !ended && (
        <div class="actions">
          <Button
            kind="quiet" name="end-session" aria-label={t('devices.end_name', { name })} action={action}
            onPress={() => action.run(async () => {
              await client.sessions.end(session.id);
              onEnded();
              return t('devices.ended_name', { name });
            })}
          >
            {t('account.sign_out')}
          </Button>
        </div>
      )}
      <Notice of={action} />
    </li>
  );
}
