// What an element shows while it loads, and if it cannot. No message is loaded yet, so the texts are here, in each language.

const texts = {
  en: { loading: 'Loading…', failed: 'The server cannot be reached. Check your connection.', again: 'Try again' },
  de: { loading: 'Wird geladen …', failed: 'Der Server ist nicht erreichbar. Prüfen Sie Ihre Verbindung.', again: 'Erneut versuchen' },
};

export function Retry({ failed, again }) {
  const language = (document.documentElement.lang || navigator.language).slice(0, 2);
  const text = texts[language] ?? texts.en;
  if (!failed) return <p class="loading">{text.loading}</p>;
  return (
    <div class="notice" data-tone="alert" data-code="unreachable" role="alert">
      <p>{text.failed}</p>
      <button type="button" name="retry" class="secondary small" part="button" onClick={again}>{text.again}</button>
    </div>
  );
}
