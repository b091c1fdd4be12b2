// Times in the language of the page.

/** Returns functions that format RFC 3339 times. now() is the server's time in milliseconds; t translates. */
export function timeFormats(language, t, now) {
  const format = (options) => new Intl.DateTimeFormat(language, options);
  const clock = format({ hour: '2-digit', minute: '2-digit' });
  const day = format({ day: 'numeric', month: 'long' });
  const dayAndYear = format({ day: 'numeric', month: 'long', year: 'numeric' });
  const full = format({ dateStyle: 'full', timeStyle: 'long' });

  const dayOf = (time) => {
    const today = new Date(now());
    const yesterday = new Date(today);
    yesterday.setDate(today.getDate() - 1);
    if (time.toDateString() === today.toDateString()) return t('time.today');
    if (time.toDateString() === yesterday.toDateString()) return t('time.yesterday');
    return (time.getFullYear() === today.getFullYear() ? day : dayAndYear).format(time);
  };

  return {
    /** “today”, “12 May”, “12 May 2025”. */
    day: (text) => dayOf(new Date(text)),
    /** “today, 15:04”. */
    time: (text) => `${dayOf(new Date(text))}, ${clock.format(new Date(text))}`,
    /** “15:04”. */
    clock: (text) => clock.format(new Date(text)),
    /** Always with the year: a printed page may be read on any day. */
    date: (text) => dayAndYear.format(new Date(text)),
    /** With the day of the week, seconds and time zone. */
    full: (text) => full.format(new Date(text)),
  };
}
