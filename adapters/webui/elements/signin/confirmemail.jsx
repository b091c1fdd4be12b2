// After a sign-up with an e-mail address: the code that was sent to it.

import { Button } from '../action.jsx';
import { EmailCode } from '../account/emailcode.jsx';
import { Heading } from '../heading.jsx';
import { useElement } from '../provider.jsx';

export function ConfirmEmail({ session, next }) {
  const { t } = useElement();
  return (
    <section>
      <Heading>{t('confirm_email.title')}</Heading>
      <EmailCode user={session.user} onChange={next} />
      <p class="ways"><Button kind="quiet" name="later" onPress={next}>{t('confirm_email.later')}</Button></p>
    </section>
  );
}
