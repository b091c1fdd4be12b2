// The recovery factors: what a user can come back with if all passkeys are lost.

import { useElement } from '../provider.jsx';
import { useAccount } from './context.js';
import { SectionHeading } from './section.jsx';
import { AuthenticatorApp } from './authenticatorapp.jsx';
import { BackupCodes } from './backupcodes.jsx';

export function WaysBack() {
  const { config, t } = useElement();
  const { factors } = useAccount();
  const { policy } = config.recovery;
  return (
    <>
      <SectionHeading of="ways-back">{t('ways_back.title')}</SectionHeading>
      <p class="lead">{t(`ways_back.lead_${policy}`)}</p>
      {policy !== 'off' && (
        <ul class="entries" role="list">
          <BackupCodes state={factors.backup_codes} />
          <AuthenticatorApp state={factors.totp} />
        </ul>
      )}
    </>
  );
}
