// <keylodge-step-up>: asks for a passkey before a sensitive change. The client opens it when the server demands a step-up.

import { useEffect, useRef, useState } from 'preact/hooks';
import { Button } from '../action.jsx';
import { Mark } from '../mark.jsx';
import { onStepUp } from '../client.js';
import { define } from '../element.jsx';
import { useElement } from '../provider.jsx';

/** Events: keylodge-confirmed when the user goes on to the browser's prompt, keylodge-cancelled when not. */
function StepUp({ emit }) {
  const { t } = useElement();
  const [waiting, setWaiting] = useState(null); // {resolve, reject} of the call that needs the step-up
  const dialog = useRef(null);

  // The button is a user gesture, which some browsers require for a passkey.
  useEffect(() => onStepUp(() => new Promise((resolve, reject) => {
    setWaiting({ resolve, reject });
    dialog.current.showModal();
  })), []);

  const end = (confirmed) => {
    dialog.current.close();
    setWaiting(null);
    if (confirmed) waiting.resolve();
    else waiting.reject(Object.assign(new Error('the user has cancelled'), { code: 'cancelled' }));
    emit(confirmed ? 'confirmed' : 'cancelled');
  };
  return (
    <dialog
      ref={dialog} part="dialog" aria-labelledby="step-up-heading"
      onCancel={(event) => {
        event.preventDefault();
        end(false);
      }}
    >
      <h2 id="step-up-heading">{t('step_up.title')}</h2>
      <p>{t('step_up.lead')}</p>
      <div class="actions">
        <Button kind="primary small" name="step-up" onPress={() => end(true)}><Mark /> {t('step_up.button')}</Button>
        <Button name="cancel" onPress={() => end(false)}>{t('form.cancel')}</Button>
      </div>
    </dialog>
  );
}

export const defineStepUp = () => define('keylodge-step-up', StepUp, [], { silent: true });
