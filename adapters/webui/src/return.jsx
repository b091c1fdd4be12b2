// The view after a sign-in for an application: it returns at once. It is seen if that fails, or needs a step-up.

import { useEffect } from 'preact/hooks';
import { Button, Notice, useAction } from '../elements/action.jsx';
import { define } from '../elements/element.jsx';
import { Heading } from '../elements/heading.jsx';
import { useElement } from '../elements/provider.jsx';
import { applicationFor, returnAddress, returnRequest } from './returning.js';

/** Events: keylodge-returned with {address}, and keylodge-account when the user goes to the account instead. */
function Return({ emit }) {
  const { client, config, t } = useElement();
  const action = useAction();
  const request = returnRequest();
  const { name } = applicationFor(request, config);
  const go = () => action.run(async () => void emit('returned', { address: await returnAddress(client, request) }));
  useEffect(() => void go(), []);
  return (
    <section>
      <Heading>{t('return.title')}</Heading>
      <Button kind="primary" name="return" action={action} onPress={go}>{t('return.continue', { name })}</Button>
      <Notice of={action} />
      <p class="ways"><Button kind="quiet" name="to-account" onPress={() => emit('account')}>{t('return.account')}</Button></p>
    </section>
  );
}

export const defineReturn = () => define('keylodge-return', Return, []);
