// The deletion of the account.

import { Button, Notice, useAction } from '../action.jsx';
import { Field, Form, Panel, usePanel } from '../form.jsx';
import { useElement } from '../provider.jsx';
import { SectionHeading } from './section.jsx';

export function Deletion({ emit }) {
  const { client, t } = useElement();
  const action = useAction();
  const panel = usePanel(action);
  const word = t('delete.word');
  return (
    <>
      <SectionHeading of="delete">{t('delete.title')}</SectionHeading>
      <p class="lead">{t('delete.lead')}</p>
      {panel.open ? (
        <Panel panel={panel} label={t('delete.title')}>
          <Form
            action={action}
            onSubmit={async ({ word: typed }) => {
              if (typed.toLowerCase() !== word.toLowerCase()) {
                throw Object.assign(new Error('word'), { code: 'invalid_request', fields: [{ field: 'word', code: 'delete_word' }] });
              }
              await client.account.delete();
              emit('signed-out', { deleted: true });
            }}
          >
            <Field name="word" type="text" action={action} label={t('delete.confirm', { word })} autocomplete="off" autocapitalize="none" spellcheck={false} required />
            <div class="actions">
              <Button kind="danger small" type="submit" name="delete-for-good" action={action}>{t('delete.button')}</Button>
              <Button name="cancel" onPress={panel.hide}>{t('form.cancel')}</Button>
            </div>
            <Notice of={action} fields={['word']} />
          </Form>
        </Panel>
      ) : (
        <Button kind="danger-outline small" name="delete-account" ref={panel.opener} onPress={() => { action.clear(); panel.show(); }}>{t('delete.open')}</Button>
      )}
    </>
  );
}
