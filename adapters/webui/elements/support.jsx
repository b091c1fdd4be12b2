import { useElement } from './provider.jsx';

/** A link to the operator's support, after a text that says to ask the operator; nothing if there is none. */
export function Support() {
  const { support } = useElement().config.brand.links;
  return support && <> <Address of={support} /></>;
}

/** A link that shows its address. */
export const Address = ({ of }) => <a href={of}>{of.replace(/^mailto:/, '')}</a>;
