// The view of an address that does not exist.

import { define } from '../elements/element.jsx';
import { Heading } from '../elements/heading.jsx';
import { useElement } from '../elements/provider.jsx';

function Missing() {
  const { t } = useElement();
  return (
    <section>
      <Heading>{t('missing.title')}</Heading>
      <p class="lead">{t('missing.lead')}</p>
      <p class="ways"><a href="/">{t('missing.home')}</a></p>
    </section>
  );
}

export const defineMissing = () => define('keylodge-missing', Missing, []);
