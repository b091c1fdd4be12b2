// After a sign-up with an e-mail address: the code that was sent to it.

import { useState } from 'preact/hooks';
import { Button } from '../action.jsx';
import { EmailCode } from '../account/emailcode.jsx';
import { Heading } from '../heading.jsx';
import { useElement } from '../provider.jsx';

export function ConfirmEmail({ session, next }) {
  const { t } = useElement();
  const [user, setUser] = useState(session.user);
  return (
    <section>
      <Heading>{t('confirm_email.title')}</Heading>
      <EmailCode user={user} onChange={(changed) => (changed.pending_email ? setUser(changed) : next())} />
      <p class="ways"><Button kind="quiet" name="later" onPress={next}>{t('confirm_email.later')}</Button></p>
    </section>
  );
}
