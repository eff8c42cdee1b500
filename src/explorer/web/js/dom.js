// Small helpers for the document. Styles are set by classes only, because the content security policy forbids inline styles.

/** Returns the element with this id. */
export const by = (id) => document.getElementById(id);

/** Creates an element. A property that is a text and not known to elements becomes an attribute. */
export function element(name, properties = {}, ...children) {
  const created = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key in created && !key.includes('-')) created[key] = value;
    else created.setAttribute(key, value);
  }
  created.append(...children);
  return created;
}

/** Creates an option of a select. */
export const option = (value, label = value) => element('option', { value, textContent: label });

/** Chooses a value in a select, and adds it first if the select does not have it. */
export function choose(select, value, label = value) {
  if (![...select.options].some((known) => known.value === value)) select.append(option(value, label));
  select.value = value;
}
