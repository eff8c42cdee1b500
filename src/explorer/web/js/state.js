// What the form says, as plain data and as the query of a link. A link never has a key id, a secret or a token.

const CHOICES = ['signature', 'method', 'format'];
const ALLOWED = { signature: ['V1', 'V3'], method: ['GET', 'POST'], format: ['JSON', 'XML'] };

/** Returns the action of this name with its product, or undefined. */
export function findAction(catalog, name) {
  for (const product of catalog.products) {
    const action = product.actions.find((known) => known.name === name);
    if (action) return { product, action };
  }
  return undefined;
}

/** Returns the query of the link that reproduces the form. */
export function toQuery(state, language) {
  const query = new URLSearchParams({ action: state.action, version: state.version });
  for (const choice of CHOICES) query.set(choice, state[choice]);
  for (const [name, value] of Object.entries(state.parameters)) query.set(name, value);
  query.set('lang', language);
  return `?${query}`;
}

/** Reads the query of a link. `parameters` is undefined where the link names only an action. */
export function fromQuery(search) {
  const query = new URLSearchParams(search);
  const state = { action: query.get('action') ?? '', version: query.get('version') ?? '' };
  for (const choice of CHOICES) {
    const value = (query.get(choice) ?? '').toUpperCase();
    state[choice] = ALLOWED[choice].includes(value) ? value : undefined;
  }
  const own = [...query].filter(([name]) => !['action', 'version', 'lang', ...CHOICES].includes(name));
  // A complete link has the version. Then a parameter that it does not have is not sent.
  if (own.length || state.version) state.parameters = Object.fromEntries(own);
  return state;
}
