// The account's audit log.

import { useState } from 'preact/hooks';
import { Button, Notice, useAction } from '../action.jsx';
import { useElement } from '../provider.jsx';
import { Time } from '../time.jsx';
import { useAccount } from './context.js';
import { SectionHeading } from './section.jsx';
import { concerning, groups, reasonFor, titleFor } from './eventtexts.js';
import { usePagedList } from './pagedlist.js';

export function Events() {
  const { client, t } = useElement();
  const { passkeys, factors, user } = useAccount();
  const [group, setGroup] = useState('');
  const list = usePagedList((page) => client.events.list({ ...page, kind: groups[group] }), [group, passkeys, factors, user]);
  const more = useAction();
  return (
    <>
      <SectionHeading of="activity">{t('activity.title')}</SectionHeading>
      <p class="lead">{t('activity.lead')}</p>
      <div class="field">
        <label for="event-group">{t('activity.show')}</label>
        <select id="event-group" part="input" value={group} onChange={(event) => setGroup(event.target.value)}>
          {['', ...Object.keys(groups)].map((each) => <option key={each} value={each}>{t(`activity.group_${each || 'all'}`)}</option>)}
        </select>
      </div>
      <ul class="entries log" role="list" aria-busy={list.busy}>{list.items.map((event) => <Event key={event.id} event={event} />)}</ul>
      {list.more && <Button name="more-events" action={more} onPress={() => more.run(list.extend)}>{t('form.more')}</Button>}
      <Notice of={more} />
    </>
  );
}

function Event({ event }) {
  const { t, times, has } = useElement();
  const reason = reasonFor(event, t, has);
  const [ip, ...others] = event.addresses;
  return (
    <li class={concerning(event) ? 'concerning' : undefined} data-kind={event.kind} data-reason={event.reason ?? ''}>
      <p class="title"><bdi>{titleFor(event, t, has)}</bdi></p>
      {reason && <p class="why">{reason}</p>}
      <p class="facts">
        <Time of={event.at} />
        {event.count > 1 && <span>{t('activity.repeated', { count: event.count, until: times.clock(event.last_at) })}</span>}
        {event.device?.name && <span><bdi>{event.device.name}</bdi></span>}
        {ip && <span>{others.length > 0 ? t('activity.more_addresses', { ip, count: others.length }) : ip}</span>}
      </p>
    </li>
  );
}
