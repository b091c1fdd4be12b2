export { direction, errors, events, fields, format, page } from '../../../../locales/de.json';
