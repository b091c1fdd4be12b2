/** The sections of the account, in their order. */
export const sections = ['passkeys', 'ways-back', 'devices', 'activity', 'profile', 'delete'];
