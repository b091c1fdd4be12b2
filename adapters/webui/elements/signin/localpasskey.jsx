// After a sign-in with a passkey of another device, such as a phone: a passkey on this one.

import { Button, Notice, useAction } from '../action.jsx';
import { Heading } from '../heading.jsx';
import { isSecurityKey } from '../passkeykind.js';
import { useElement } from '../provider.jsx';

const declinedKey = 'keylodge-local-passkey-declined'; // the time, in this browser's storage
const silence = 30 * 24 * 60 * 60 * 1000;

const decline = () => localStorage.setItem(declinedKey, String(Date.now()));
const declined = () => Date.now() - Number(localStorage.getItem(declinedKey)) < silence;

/**
 * Returns whether to offer it after a sign-in. A security key is beside the user whenever they sign in, and they have chosen it: only a
 * passkey of another device is a reason.
 */
export async function offersLocalPasskey(client, { attachment, session }) {
  if (attachment !== 'cross-platform' || declined() || !(await client.canCreateHere())) return false;
  const passkeys = await client.passkeys.list().catch(() => []); // the offer can wait for the next sign-in
  const used = passkeys.find(({ id }) => id === session.passkey_id);
  return used !== undefined && !isSecurityKey(used);
}

export function LocalPasskey({ done }) {
  const { client, t } = useElement();
  const action = useAction({ about: 'add_passkey' });
  const add = async () => {
    await client.passkeys.add({ here: true });
    done();
  };
  const leave = () => {
    decline();
    done();
  };
  return (
    <section>
      <Heading>{t('local_passkey.title')}</Heading>
      <p class="lead">{t('local_passkey.lead')}</p>
      <Button kind="primary" name="local-passkey" action={action} onPress={() => action.run(add)}>{t('local_passkey.button')}</Button>
      <Notice of={action} />
      <p class="hint">{t('local_passkey.own_device')}</p>
      <p class="ways"><Button kind="quiet" name="not-now" action={action} onPress={leave}>{t('local_passkey.later')}</Button></p>
    </section>
  );
}
