// Sign-up: an account with its first passkey.

import { Button, Notice, useAction } from '../action.jsx';
import { Field, Form } from '../form.jsx';
import { Heading } from '../heading.jsx';
import { Mark } from '../mark.jsx';
import { useElement } from '../provider.jsx';
import { Link } from './choose.jsx';
import { signUpObstacle } from './registration.js';

export function SignUp({ go, signedUp, invite, email, setEmail, name, setName }) {
  const { client, config, t } = useElement();
  const action = useAction({ about: 'sign_up' });
  const obstacle = signUpObstacle(config, invite);
  if (obstacle) {
    return (
      <section>
        <Heading>{t('sign_up.title')}</Heading>
        <p class="lead" data-code={obstacle}>{t(`error.${obstacle}`)}</p>
        <p class="ways"><Link to="sign-in" go={go}>{t('sign_up.back')}</Link></p>
      </section>
    );
  }
  return (
    <section>
      <Heading>{t('sign_up.title')}</Heading>
      <p class="lead">{t('sign_up.lead')}</p>
      <Form action={action} label={t('sign_up.title')} onSubmit={async (typed) => signedUp(await client.signUp({ ...typed, invite }))}>
        <Field
          name="display_name" type="text" action={action} label={t('form.name')} optional value={name} onInput={(event) => setName(event.target.value)}
          autocomplete="name" maxLength={64}
        />
        {config.email !== 'off' && (
          <Field
            name="email" type="email" action={action} label={t('sign_up.email')} optional value={email} onInput={(event) => setEmail(event.target.value)}
            hint={config.mail === 'on' ? t('sign_up.email_hint') : undefined} autocomplete="email" maxLength={254} spellcheck={false} autocapitalize="none"
          />
        )}
        <Button kind="primary" type="submit" name="sign-up" action={action}><Mark /> {t('sign_up.button')}</Button>
        <Notice of={action} fields={['display_name', 'email']} />
      </Form>
      <p class="ways">{t('sign_up.have')} <Link to="sign-in" go={go}>{t('sign_up.back')}</Link></p>
    </section>
  );
}
