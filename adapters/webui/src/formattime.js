// The format of times.

import { keylodge } from './server.js';

const format = (options) => new Intl.DateTimeFormat('en-GB', options);
const clock = format({ hour: '2-digit', minute: '2-digit' });
const day = format({ day: 'numeric', month: 'long' });
const dayOfYear = format({ day: 'numeric', month: 'long', year: 'numeric' });
const dateAndTime = format({ dateStyle: 'full', timeStyle: 'long' });

/** Shows the day of an RFC 3339 time in a <time> element: “today”, “12 May”, “12 May 2025”. */
export function showDay(element, text) {
  const time = new Date(text);
  element.dateTime = text;
  element.title = dateAndTime.format(time);
  element.textContent = dayOf(time);
}

/** As showDay, but always with the year: a printed page may be read on any day. */
export function showDate(element, text) {
  showDay(element, text);
  element.textContent = dayOfYear.format(new Date(text));
}

/** As showDay, with the time of day. */
export function showTime(element, text) {
  showDay(element, text);
  element.textContent += `, ${clock.format(new Date(text))}`;
}

/** Returns the time of day of an RFC 3339 time. */
export const timeOfDay = (text) => clock.format(new Date(text));

function dayOf(time) {
  const now = new Date(keylodge.now());
  const yesterday = new Date(now);
  yesterday.setDate(now.getDate() - 1);
  if (time.toDateString() === now.toDateString()) return 'today';
  if (time.toDateString() === yesterday.toDateString()) return 'yesterday';
  return (time.getFullYear() === now.getFullYear() ? day : dayOfYear).format(time);
}
