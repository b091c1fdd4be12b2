// Backup codes on show: they are shown once, so leaving the page before they are stored asks first.

import { useLayoutEffect, useRef } from 'preact/hooks';
import { Button, Notice, useAction } from '../action.jsx';
import { useElement } from '../provider.jsx';
import { saveText } from '../savetext.js';

export function CodeSheet({ codes, user, onStored }) {
  const { client, config, t, times } = useElement();
  const action = useAction();
  const sheet = useRef(null);
  const list = useRef(null);

  useLayoutEffect(() => {
    sheet.current.focus();
    sheet.current.scrollIntoView({ block: 'nearest' });
    const ask = (event) => event.preventDefault();
    addEventListener('beforeunload', ask);
    return () => removeEventListener('beforeunload', ask);
  }, []);

  const account = user.email ?? user.id;
  const day = times.date(new Date(client.now()).toISOString());
  const address = `${location.origin}/recover`;
  const heading = t('codes.sheet', { service: config.rp_name });
  const text = [heading, t('codes.sheet_account', { account }), t('codes.sheet_day', { day }), '', ...codes, '', t('codes.sheet_use', { address })].join('\n');

  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      return t('codes.copied');
    } catch {
      getSelection().selectAllChildren(list.current);
      throw Object.assign(new Error('clipboard'), { code: 'copy_failed' });
    }
  };
  return (
    <div ref={sheet} class="panel sheet" part="panel" role="group" tabIndex={-1} aria-labelledby="sheet-heading">
      <p id="sheet-heading" class="title">{heading}</p>
      <p class="facts"><span>{t('codes.sheet_account', { account })}</span><span>{t('codes.sheet_day', { day })}</span></p>
      <ol ref={list} class="codes" role="list">{codes.map((code) => <li key={code}><code>{code}</code></li>)}</ol>
      <p>{t('codes.once')}</p>
      <p class="print-only">{t('codes.sheet_use', { address })}</p>
      <div class="actions">
        <Button kind="primary small" name="download-codes" onPress={() => saveText(`${t('codes.file')}.txt`, `${text}\n`)}>{t('codes.download')}</Button>
        <Button name="copy-codes" action={action} onPress={() => action.run(copy)}>{t('codes.copy')}</Button>
        <Button name="print-codes" onPress={() => print()}>{t('codes.print')}</Button>
      </div>
      <Notice of={action} />
      <div class="actions"><Button name="stored" onPress={onStored}>{t('codes.stored')}</Button></div>
    </div>
  );
}
