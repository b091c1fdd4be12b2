// What kind of authenticator has a passkey.

/** Reports whether a passkey is on a security key, by the transports that it was created with. */
export const isSecurityKey = ({ transports }) => transports.some((transport) => transport === 'usb' || transport === 'nfc') && !transports.includes('internal');
