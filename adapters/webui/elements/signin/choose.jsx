// Sign-in: one button for any passkey, the suggestions of the e-mail field, and the e-mail address for a security key without
// discoverable passkeys.

import { useEffect, useState } from 'preact/hooks';
import { Button, Notice, useAction } from '../action.jsx';
import { Field, Form } from '../form.jsx';
import { Heading } from '../heading.jsx';
import { Mark } from '../mark.jsx';
import { useElement } from '../provider.jsx';
import { signUpObstacle } from './registration.js';

export function Choose({ go, signedIn, invite, email, setEmail, notice }) {
  const { client, config, t, has } = useElement();
  const any = useAction({ about: 'sign_in' });
  const named = useAction({ about: 'sign_in' });
  useAutofill(any, signedIn);

  const failed = any.notice?.code ?? named.notice?.code;
  return (
    <section>
      <Heading>{t('sign_in.title')}</Heading>
      {notice && !failed && <p class="notice" part="notice" role="status" data-code={notice}>{noticeText(t, has, notice)}</p>}
      <p class="lead">{t('sign_in.lead')}</p>
      <Button kind="primary" name="sign-in" action={any} onPress={() => any.run(async () => signedIn(await client.signIn()))}>
        <Mark /> {t('sign_in.button')}
      </Button>
      <Notice of={any} />
      <Form action={named} label={t('sign_in.by_email')} class="by-email" onSubmit={async ({ email: typed }) => signedIn(await client.signIn({ email: typed }))}>
        <Field
          name="email" type="email" action={named} label={t('sign_in.by_email')} value={email} onInput={(event) => setEmail(event.target.value)}
          autocomplete="username webauthn" maxLength={254} spellcheck={false} autocapitalize="none" required
        />
        <Button type="submit" name="sign-in-by-email" action={named}>{t('sign_in.continue')}</Button>
        <Notice of={named} fields={['email']} />
      </Form>
      <OtherWays signedIn={signedIn} />
      <ul class="ways" role="list">
        <li><Link to="recover" go={go}>{t('sign_in.lost')}</Link></li>
        <li>
          {signUpObstacle(config, invite)
            ? t(`error.${signUpObstacle(config, invite)}`)
            : <>{t('sign_in.new')} <Link to="sign-up" go={go}>{t('sign_in.create')}</Link></>}
        </li>
      </ul>
    </section>
  );
}

// The ways for a passkey of another device. The server plans them, and is asked only by users who open the list.
function OtherWays({ signedIn }) {
  const { client, t } = useElement();
  const action = useAction({ about: 'sign_in' });
  const [ways, setWays] = useState(null);
  const open = async () => setWays((await client.signIn.begin()).ways.filter(({ hints }) => hints.length > 0));
  return (
    <div class="other-ways">
      <Button kind="quiet" name="other-ways" action={action} aria-expanded={ways !== null} onPress={() => (ways ? setWays(null) : action.run(open))}>
        {t('sign_in.other_ways')}
      </Button>
      {ways && (
        <ul role="list">
          {ways.map((way) => (
            <li key={way.way}>
              <Button name={`sign-in-${way.way}`} action={action} onPress={() => action.run(async () => signedIn(await client.signIn({ way })))}>
                {t(`sign_in.way_${way.way}`)}
              </Button>
            </li>
          ))}
        </ul>
      )}
      <Notice of={action} />
    </div>
  );
}

const noticeText = (t, has, code) => [`notice.${code}`, `error.${code}`].filter(has).map((key) => t(key))[0] ?? t('notice.signed_out');

/** A link to another view, as a button: the page decides about addresses. */
export function Link({ to, go, children }) {
  return <button type="button" class="quiet" part="link" name={`to-${to}`} onClick={() => go(to)}><span>{children}</span></button>;
}

// A sign-in that waits for a suggestion of the e-mail field. The buttons report errors, but not the end of waiting.
function useAutofill(action, signedIn) {
  const { client } = useElement();
  useEffect(() => {
    const waiting = new AbortController();
    const wait = async () => {
      try {
        await signedIn(await client.signIn({ autofill: true, signal: waiting.signal }));
      } catch (error) {
        if (error.code === 'aborted' || error.code === 'not_supported') return;
        action.fail(error);
        wait();
      }
    };
    wait();
    return () => waiting.abort();
  }, []);
}
