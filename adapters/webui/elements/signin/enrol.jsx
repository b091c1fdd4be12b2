// Recovery, second step: the new passkey that a recovery grant authorises. The token of the grant is kept in memory only.

import { useEffect, useState } from 'preact/hooks';
import { Button, Notice, useAction } from '../action.jsx';
import { Heading } from '../heading.jsx';
import { Mark } from '../mark.jsx';
import { useElement } from '../provider.jsx';
import { Link } from './choose.jsx';

export function Enrol({ grant, go, signedIn }) {
  const { client, t } = useElement();
  const action = useAction({ about: grant?.linked ? 'recovery_link' : 'recovery' });
  const [starting, setStarting] = useState(!grant.linked); // the user has just pressed a button
  const enrol = async () => signedIn(await client.recovery.enrol({ grant_token: grant.token }));
  useEffect(() => {
    if (starting) action.start(enrol).then(() => setStarting(false));
  }, []);
  return (
    <section aria-busy={starting}>
      <Heading>{t('enrol.title')}</Heading>
      <p class="lead">{t('enrol.lead')}</p>
      <Button kind="primary" name="enrol" action={action} onPress={() => action.run(enrol)}><Mark /> {t('enrol.button')}</Button>
      <Notice of={action} />
      {action.notice?.code === 'invalid_code' && !grant.linked && <p class="ways"><Link to="recover" go={go}>{t('enrol.again')}</Link></p>}
      <p class="ways"><Link to="sign-in" go={go}>{t('recover.back')}</Link></p>
    </section>
  );
}
