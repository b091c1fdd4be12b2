// After a sign-up: a way back in, for the day when the device is lost.

import { useState } from 'preact/hooks';
import { Button, Notice, useAction } from '../action.jsx';
import { CodeSheet } from '../account/codesheet.jsx';
import { Heading } from '../heading.jsx';
import { useElement } from '../provider.jsx';

export function WayBack({ session, done }) {
  const { client, config, t } = useElement();
  const [codes, setCodes] = useState(null);
  const action = useAction({ about: 'add_passkey' });
  if (codes) {
    return (
      <section>
        <Heading>{t('codes.title')}</Heading>
        <CodeSheet codes={codes} user={session.user} onStored={done} />
      </section>
    );
  }
  const codesOffered = config.recovery.policy !== 'off';
  const second = codesOffered ? 'secondary' : 'primary';
  return (
    <section>
      <Heading>{t('way_back.title')}</Heading>
      <p class="lead">{t(codesOffered ? 'way_back.lead' : 'way_back.lead_passkey')}</p>
      {codesOffered && (
        <Button kind="primary" name="save-codes" action={action} onPress={() => action.run(async () => setCodes(await client.recovery.makeBackupCodes()))}>
          {t('way_back.codes')}
        </Button>
      )}
      <Button
        kind={second} name="second-passkey" action={action}
        onPress={() => action.run(async () => {
          await client.passkeys.add();
          done();
        })}
      >
        {t('way_back.passkey')}
      </Button>
      <Notice of={action} />
      {config.recovery.policy === 'both' && <p class="hint">{t('way_back.both')}</p>}
      <p class="ways"><Button kind="quiet" name="not-now" action={action} onPress={done}>{t('way_back.later')}</Button></p>
    </section>
  );
}
