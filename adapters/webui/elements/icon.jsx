// Icons: outlines of 24 by 24 in the colour of the text.

const outlines = {
  key: 'M14 10a4 4 0 1 0-3.5 3.97L12 15.5V17h2v2h3v-3.2L13.5 12.3A4 4 0 0 0 14 10zM9.5 9.5h.01',
  cloud: 'M7 18a4 4 0 0 1-.5-7.97A5.5 5.5 0 0 1 17.2 9.6 4.2 4.2 0 0 1 17 18z',
  device: 'M8 3h8a1 1 0 0 1 1 1v16a1 1 0 0 1-1 1H8a1 1 0 0 1-1-1V4a1 1 0 0 1 1-1zM11 18h2',
  alert: 'M12 4 21 20H3zM12 10v4M12 17h.01',
};

export const Icon = ({ name }) => (
  <svg class="icon" viewBox="0 0 24 24" width="24" height="24" aria-hidden="true" focusable="false"><path d={outlines[name]} /></svg>
);
