// The form: fields of an action built from its description, and the access key.
import { by, choose, element, option } from './dom.js';
import { text } from './texts.js';

const TIMESTAMP = /yyyy-MM-ddTHH:mm:ssZ/;
const DAY = 86_400_000;

const instant = (milliseconds) => new Date(milliseconds).toISOString().slice(0, 19) + 'Z';

// Instants to choose from where a parameter is a time: the documentation asks for one exact form.
function suggestions() {
  const midnight = Math.floor(Date.now() / DAY) * DAY;
  return [-30, -7, -1, 0, 1].map((days) => instant(midnight + days * DAY));
}

const isTime = (parameter) => parameter.type !== 'enum' && TIMESTAMP.test(parameter.comment);

// A required parameter is filled, so that one click runs the action. A span begins a week ago and ends tomorrow.
function initial(parameter) {
  if (!parameter.required) return '';
  if (parameter.values?.length) return parameter.values[0].spelling;
  if (!isTime(parameter)) return '';
  const times = suggestions();
  return parameter.name.startsWith('Start') ? times[1] : times[4];
}

function enumInput(parameter) {
  const select = element('select');
  select.append(option('', text('not_sent')));
  for (const { spelling, comment } of parameter.values) {
    select.append(option(spelling, comment ? `${spelling} – ${comment}` : spelling));
  }
  return select;
}

function textInput(parameter) {
  const input = element('input', { autocomplete: 'off', autocapitalize: 'off', spellcheck: false });
  if (isTime(parameter)) input.setAttribute('list', 'times');
  return input;
}

function field(parameter) {
  const choices = parameter.type === 'boolean' ? [{ spelling: 'true' }, { spelling: 'false' }] : parameter.values;
  const input = choices?.length ? enumInput({ ...parameter, values: choices }) : textInput(parameter);
  const hint = `hint-${parameter.name}`;
  Object.assign(input, { name: parameter.name, required: Boolean(parameter.required) });
  input.setAttribute('aria-describedby', hint);
  const mark = parameter.required
    ? element('span', { className: 'must', textContent: text('required') })
    : element('span', { className: 'may', textContent: text('optional') });
  const title = element('span', {}, element('span', { className: 'name', textContent: parameter.name }), mark);
  const note = element('p', { id: hint, className: 'hint', textContent: parameter.comment });
  return element('div', {}, element('label', { className: 'field' }, title, input), note);
}

/** Builds the fields of an action, with initial values. */
export function buildFields(action) {
  const times = element('datalist', { id: 'times' }, ...suggestions().map((time) => option(time)));
  const fields = action.parameters.map(field);
  if (!fields.length) fields.push(element('p', { className: 'hint', textContent: text('no_parameters') }));
  by('parameters').replaceChildren(...fields, times);
  for (const parameter of action.parameters) by('form').elements[parameter.name].value = initial(parameter);
}

/** Fills the form from a state. What the state leaves open stays as it is. */
export function fillForm(action, state) {
  by('version').replaceChildren(...action.versions.map((version) => option(version)));
  if (action.versions.includes(state.version)) by('version').value = state.version;
  for (const choice of ['signature', 'method', 'format']) {
    if (state[choice]) by(choice).value = state[choice];
  }
  if (!state.parameters) return;
  for (const { name } of action.parameters) {
    const input = by('form').elements[name];
    const value = state.parameters[name] ?? '';
    // A link may have a value that no select offers, to show how the service refuses it.
    if (input instanceof HTMLSelectElement) choose(input, value, `${value} ${text('other_value')}`);
    else input.value = value;
  }
}

/** Reads the form. A parameter without a value is not sent. */
export function readForm(product, action) {
  const entries = action.parameters.map(({ name }) => [name, by('form').elements[name].value]);
  return {
    product: product.product,
    action: action.name,
    version: by('version').value,
    signature: by('signature').value,
    method: by('method').value,
    format: by('format').value,
    parameters: Object.fromEntries(entries.filter(([, value]) => value !== '')),
  };
}

let accounts = [];

/** Shows the demo accounts, if there are any. */
export function buildAccounts(known) {
  accounts = known;
  by('demo').hidden = !accounts.length;
  const options = accounts.map(({ access_key_id: id, note }) => option(id, note ? `${id} – ${note}` : id));
  by('account').replaceChildren(...options, option('', text('own_key')));
  by('account').value = accounts[0]?.access_key_id ?? '';
  by('account').addEventListener('change', showAccount);
  showAccount();
}

/** Shows the fields of an own key, or the key of the demo account. */
export function showAccount() {
  const demo = chosenAccount();
  by('own-key').hidden = Boolean(demo);
  by('account-note').textContent = demo
    ? text('account_note', { id: demo.access_key_id, secret: demo.access_key_secret, account: demo.account_id })
    : '';
}

const chosenAccount = () => accounts.find((known) => known.access_key_id === by('account').value);

/** Returns the key to sign with. It is read when it is needed and kept nowhere. */
export function readKey() {
  const demo = chosenAccount();
  if (demo) {
    return { keyId: demo.access_key_id, secret: demo.access_key_secret, token: '', accountId: String(demo.account_id) };
  }
  return {
    keyId: by('key-id').value,
    secret: by('key-secret').value,
    token: by('security-token').value,
    accountId: '',
  };
}
