// What the sections of the account share.

import { createContext } from 'preact';
import { useContext } from 'preact/hooks';
import { Heading } from '../heading.jsx';

export const AccountContext = createContext(null);

/** Returns {user, session, passkeys, factors, setUser, reload}. factors is null if the server has no recovery by codes. */
export const useAccount = () => useContext(AccountContext);

/** The heading of a section. */
export const SectionHeading = ({ of, children }) => <Heading level={2} id={`${of}-heading`}>{children}</Heading>;
