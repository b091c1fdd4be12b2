// A section of the account, with its heading.

import { useCallback, useRef } from 'preact/hooks';
import { LostNotice, Notice, useAction } from '../action.jsx';
import { Heading } from '../heading.jsx';

/**
 * A section is scrolled into view once if it is the current one. It shows the notices of its entries that are gone, and its heading gets
 * the focus if that was lost with them.
 */
export function Section({ id, current, children, ...more }) {
  const action = useAction();
  const section = useRef(null);
  const ref = useCallback((element) => {
    section.current = element;
    if (element && id === current) element.scrollIntoView();
  }, [id, current]);
  const show = (notice) => {
    action.show(notice);
    if (!section.current?.getRootNode().activeElement) section.current?.querySelector('h2').focus();
  };
  return (
    <section id={id} ref={ref} aria-labelledby={`${id}-heading`} {...more}>
      <LostNotice.Provider value={show}>{children}</LostNotice.Provider>
      <Notice of={action} />
    </section>
  );
}

/** The heading of a section. */
export const SectionHeading = ({ of, children }) => <Heading level={2} id={`${of}-heading`}>{children}</Heading>;
