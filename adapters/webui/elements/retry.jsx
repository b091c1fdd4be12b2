// What an element shows while it loads, and if it cannot. No message is loaded yet, so the texts are here, in each language.

const texts = {
  en: { loading: 'Loading…', title: 'No connection', failed: 'The server cannot be reached. Check your connection.', again: 'Try again' },
  de: { loading: 'Wird geladen …', title: 'Keine Verbindung', failed: 'Der Server ist nicht erreichbar. Prüfen Sie Ihre Verbindung.', again: 'Erneut versuchen' },
};

export function Retry({ failed, again }) {
  const language = (document.documentElement.lang || navigator.language).slice(0, 2);
  const text = texts[language] ?? texts.en;
  if (!failed) return <h1 class="loading" part="heading">{text.loading}</h1>;
  return (
    <section>
      <h1 part="heading">{text.title}</h1>
      <p class="notice" part="notice" data-tone="alert" data-code="unreachable" role="alert">{text.failed}</p>
      <button type="button" name="retry" class="secondary small" part="button" onClick={again}>{text.again}</button>
    </section>
  );
}
