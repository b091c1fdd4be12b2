// The summary at the top: how safe the account is, and what to do next.

import { useElement } from '../provider.jsx';
import { Support } from '../support.jsx';
import { useAccount } from './context.js';

export function Summary() {
  const { config, t } = useElement();
  const { passkeys, factors } = useAccount();
  const recovery = config.recovery.policy !== 'off';
  const codes = recovery ? factors.backup_codes.remaining : 0;
  const parts = [t('summary.passkeys', { count: passkeys.length })];
  if (recovery) {
    parts.push(codes > 0 ? t('summary.codes', { count: codes }) : t('summary.no_codes'));
    if (factors.totp.enrolled) parts.push(t('summary.app'));
  }
  return (
    <div class="summary" part="summary" data-safe={passkeys.length > 1 || codes > 0 || (recovery && factors.totp.enrolled)}>
      <p><strong>{parts.join(', ')}</strong></p>
      {advice(passkeys, codes, recovery && factors.totp.enrolled, recovery).map((key) => (
        <p key={key} data-advice={key}>{t(`summary.${key}`)}{key === 'advice_suspended' && <Support />}</p>
      ))}
    </div>
  );
}

// The most urgent advice only.
function advice(passkeys, codes, app, recovery) {
  if (passkeys.every(({ status }) => status !== 'active')) return ['advice_suspended'];
  if (passkeys.length > 1 || codes > 0 || app) return [];
  return [recovery ? 'advice_way_back' : 'advice_second_passkey'];
}
