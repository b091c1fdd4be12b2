import { useElement } from './provider.jsx';

/** A time; `as` is a format of times.js. */
export function Time({ of, as = 'time' }) {
  const { times } = useElement();
  return <time dateTime={of} title={times.full(of)}>{times[as](of)}</time>;
}
