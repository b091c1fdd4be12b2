// Messages in the language of the page.

/** The languages with their names, each in itself. A further language is a file in locales, a module in languages, and a line here. */
export const languageNames = { en: 'English', de: 'Deutsch' };

// A language that a page does not need is not loaded.
const modules = {
  en: () => import('./languages/en.js'),
  de: () => import('./languages/de.js'),
};

/** Returns the first of the BCP 47 tags whose language is known, such as en-GB; undefined if there is none. */
export const bestLanguage = (...tags) => tags.find((tag) => tag && Object.hasOwn(modules, languageOf(tag)));

const languageOf = (tag) => tag.toLowerCase().split('-')[0];

/**
 * Returns {direction, texts} in the language of a tag that bestLanguage returned. texts has the messages of locales by key: those of
 * the page by their own key, `error.CODE`, `error.field.CODE`, `events.…`, `format.…`.
 */
export async function loadMessages(tag) {
  const { direction, page, errors, fields, events, format } = await modules[languageOf(tag)]();
  return { direction, texts: { ...flat('error', errors), ...flat('error.field', fields), ...flat('events', events), ...flat('format', format), ...page } };
}

// A plural message is an object too, with the form `other`.
function flat(path, messages) {
  if (typeof messages === 'string' || 'other' in messages && 'one' in messages) return { [path]: messages };
  return Object.assign({}, ...Object.entries(messages).map(([key, value]) => flat(`${path}.${key}`, value)));
}

/**
 * Returns t(key, parameters) for messages, an object of strings by key, and a BCP 47 language tag. `{name}` in a message is replaced
 * by the parameter of that name. A message with plural forms is an object by CLDR category, selected by the parameter `count`.
 */
export function translator(messages, language) {
  const plural = new Intl.PluralRules(language);
  return (key, parameters = {}) => {
    let message = messages[key];
    if (message === undefined) throw new Error(`no message ${key}`);
    if (typeof message === 'object') message = message[plural.select(parameters.count)] ?? message.other;
    return message.replace(/\{(\w+)\}/g, (_, name) => String(parameters[name]));
  };
}
