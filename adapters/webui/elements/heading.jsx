// The heading of a view. It gets the focus when the view appears, so that a screen reader says where the user is; not in the first
// view, where the page has just been loaded.

import { useLayoutEffect, useRef } from 'preact/hooks';
import { useElement } from './provider.jsx';

export function Heading({ level = 1, children, ...more }) {
  const element = useRef(null);
  const announced = useRef(null);
  const { first, emit } = useElement();
  useLayoutEffect(() => {
    if (level !== 1) return;
    if (!first.current) element.current.focus();
    first.current = false;
  }, []);
  useLayoutEffect(() => {
    const { textContent: text } = element.current;
    if (level === 1 && text !== announced.current) emit('heading', { text });
    announced.current = text;
  });
  const Tag = `h${level}`;
  return <Tag ref={element} tabIndex={-1} part="heading" {...more}>{children}</Tag>;
}
