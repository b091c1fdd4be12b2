// What the custom elements share: an open shadow root with the stylesheet, and attributes that are given to a component.

import { render } from 'preact';
import stylesheet from './elements.css' with { type: 'text' };
import { Provider } from './provider.jsx';

// Importing the elements on a server must not fail: there is no HTMLElement.
const Base = globalThis.HTMLElement ?? class {};

/**
 * Defines the custom element `tag`, unless the page has defined it. It renders component in its shadow root, with its attributes
 * as properties in camelCase, and with `emit(name, detail)`, which dispatches the event `keylodge-NAME`. emit returns false if a
 * listener called preventDefault. A silent element shows nothing until it is loaded.
 */
export function define(tag, component, attributes, { silent = false } = {}) {
  if (!globalThis.customElements || customElements.get(tag)) return;
  customElements.define(tag, class extends Base {
    static observedAttributes = ['origin', 'lang', ...attributes];

    connectedCallback() {
      if (!this.shadowRoot) {
        this.attachShadow({ mode: 'open' });
        const sheet = new CSSStyleSheet();
        sheet.replaceSync(stylesheet);
        this.shadowRoot.adoptedStyleSheets = [sheet];
      }
      this.#render();
    }

    disconnectedCallback() {
      render(null, this.shadowRoot);
    }

    attributeChangedCallback() {
      this.#render();
    }

    #render() {
      if (!this.isConnected || !this.shadowRoot) return;
      const properties = Object.fromEntries(attributes.map((name) => [camelCase(name), this.getAttribute(name)]));
      const emit = (name, detail) => this.dispatchEvent(new CustomEvent(`keylodge-${name}`, { detail, bubbles: true, composed: true, cancelable: true }));
      const Component = component;
      render(
        <Provider host={this} origin={this.getAttribute('origin')} language={this.getAttribute('lang')} emit={emit} silent={silent}>
          <Component {...properties} emit={emit} />
        </Provider>,
        this.shadowRoot,
      );
    }
  });
}

const camelCase = (name) => name.replace(/-(\w)/g, (_, letter) => letter.toUpperCase());
