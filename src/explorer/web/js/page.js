// Starts the page and connects its parts.
import { addRun } from './history.js';
import { loadSamples, showSample } from './code.js';
import { by } from './dom.js';
import { examine, startDoctor } from './doctor.js';
import { buildAccounts, buildFields, fillForm, readForm, readKey, showAccount } from './form.js';
import { prepare, send } from './run.js';
import { showRun, showRunning } from './result.js';
import { findAction, fromQuery, toQuery } from './state.js';
import { startTabs } from './tabs.js';
import { language, load, loadTexts, text } from './texts.js';

let catalog;
let chosen;
let lastRun;
let running = false;

const narrow = matchMedia('(max-width: 45rem)');

function trouble(message) {
  by('trouble').textContent = message;
  by('trouble').hidden = !message;
}

function markAction(name) {
  for (const link of by('actions').querySelectorAll('a[data-action]')) {
    if (link.dataset.action === name) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
}

// The address is the link of the form at any time, so that a reload keeps the form.
function formChanged() {
  const state = readForm(chosen.product, chosen.action);
  const query = toQuery(state, language);
  by('link').href = query;
  history.replaceState(null, '', query);
  showSample({ catalog, ...chosen, state, key: readKey() });
}

function showAction(state) {
  const { action } = chosen;
  by('action-name').textContent = action.name;
  by('action-comment').textContent = action.comment;
  const permission = action.permission ? text('permission', { permission: action.permission }) : '';
  by('action-permission').textContent = [permission, action.writes ? text('writes') : ''].filter(Boolean).join(' · ');
  markAction(action.name);
  buildFields(action);
  fillForm(action, state);
  by('main').classList.remove('waiting');
  formChanged();
}

/** Shows the form of a state. An unknown action shows the first one and says so. */
function open(state) {
  const found = findAction(catalog, state.action);
  trouble(found || !state.action ? '' : text('no_action', { action: state.action }));
  const product = catalog.products[0];
  chosen = found ?? { product, action: product.actions[0] };
  showAction(state);
}

// Links of actions are followed in place. A click that asks for another tab is the browser's.
function followAction(event) {
  const link = event.target.closest('a[data-action]');
  if (!link || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  history.pushState(null, '', location.search);
  open({ action: link.dataset.action });
  if (narrow.matches) by('action-name').focus();
}

function restore(run) {
  lastRun = run;
  open(run.state);
  if ([...by('account').options].some(({ value }) => value === run.account)) by('account').value = run.account;
  showAccount();
  formChanged();
  showRun(run);
}

function codeOf(reply) {
  const pattern = /"Code":"([^"]*)"|<Code>([^<]*)<\/Code>/;
  const found = reply.status === 200 ? null : pattern.exec(reply.body);
  return found?.[1] ?? found?.[2] ?? '';
}

async function execute() {
  const state = readForm(chosen.product, chosen.action);
  const run = { state, description: chosen.action.reply, account: by('account').value, at: new Date() };
  run.request = await prepare(state, readKey());
  try {
    run.reply = await send(run.request);
    run.code = codeOf(run.reply);
  } catch (failure) {
    run.failure = String(failure.message ?? failure);
  }
  return run;
}

async function runForm() {
  if (running || !crypto.subtle || !chosen) return;
  running = true;
  by('run').setAttribute('aria-disabled', 'true');
  showRunning();
  try {
    lastRun = await execute();
    showRun(lastRun);
    addRun(lastRun, restore);
    if (narrow.matches) by('result').scrollIntoView();
  } catch (failure) {
    trouble(String(failure.message ?? failure));
  } finally {
    running = false;
    by('run').removeAttribute('aria-disabled');
  }
}

function runByKey(event) {
  if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey)) return;
  event.preventDefault();
  const form = by('doctor-form').contains(event.target) ? by('doctor-form') : by('form');
  form.requestSubmit();
}

function startForm() {
  const secure = Boolean(globalThis.crypto?.subtle);
  by('run').hidden = !secure;
  by('insecure').hidden = secure;
  by('form').addEventListener('submit', (event) => {
    event.preventDefault();
    runForm();
  });
  by('form').addEventListener('input', formChanged);
  document.addEventListener('keydown', runByKey);
  by('actions').addEventListener('click', followAction);
  by('to-doctor').addEventListener('click', () => examine(lastRun, readKey().secret));
  window.addEventListener('popstate', () => open(fromQuery(location.search)));
}

// The server writes the page in its language, so another language is another page. The link keeps the form.
function startLanguage() {
  by('language').value = language;
  by('language').addEventListener('change', () => {
    const query = new URLSearchParams(location.search);
    query.set('lang', by('language').value);
    location.search = query;
  });
}

async function start() {
  startLanguage();
  startTabs(by('tabs'));
  startDoctor();
  const [loaded] = await Promise.all([load(`actions.json?lang=${language}`), loadTexts()]);
  catalog = loaded;
  buildAccounts(catalog.accounts);
  startForm();
  open(fromQuery(location.search));
  await loadSamples();
}

// The labels may be what did not load, so the server wrote this one into the page.
start().catch((failure) => trouble(by('trouble').textContent.replace('{message}', failure.message)));
