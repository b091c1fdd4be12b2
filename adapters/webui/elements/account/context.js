// What the sections of the account share.

import { createContext } from 'preact';
import { useContext } from 'preact/hooks';

export const AccountContext = createContext(null);

/** Returns {user, session, passkeys, factors, setUser, reload}. factors is null if the server has no recovery by codes. */
export const useAccount = () => useContext(AccountContext);
