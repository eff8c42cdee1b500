// Shows what a run sent and what came back.
import { bothFormats } from './convert.js';
import { by } from './dom.js';
import { requestText } from './run.js';
import { selectTab } from './tabs.js';
import { language, text } from './texts.js';

function showSteps({ signature }, request) {
  const v3 = signature === 'V3';
  by('canonical-title').textContent = text(v3 ? 'canonical_request' : 'canonical_query');
  by('canonical-note').textContent = text(v3 ? 'canonical_request_note' : 'canonical_query_note');
  by('string-note').textContent = text(v3 ? 'string_note_v3' : 'string_note_v1');
  by('mac-note').textContent = text(v3 ? 'mac_note_v3' : 'mac_note_v1');
  by('canonical').textContent = request.canonical;
  by('string-to-sign').textContent = request.stringToSign;
  by('mac').textContent = request.signature;
}

function showRefusal(members) {
  const code = typeof members.Code === 'string' ? members.Code : '';
  by('refusal').hidden = !code;
  by('to-doctor').hidden = code !== 'SignatureDoesNotMatch';
  by('error-code').textContent = code;
  by('error-code').href = `errors/${encodeURIComponent(code)}?lang=${language}`;
  // The texts of SignatureDoesNotMatch have whole strings to sign. The reply below shows them.
  const message = String(members.Message ?? '');
  by('error-message').textContent = message.length > 160 ? `${message.slice(0, 160)}…` : message;
}

function showReply(reply, description) {
  const type = reply.headers.find(([name]) => name === 'content-type')?.[1] ?? '';
  const came = type.includes('xml') ? 'XML' : 'JSON';
  const { json, xml, members } = bothFormats(reply.body, description);
  by('reply-json').textContent = json;
  by('reply-xml').textContent = xml;
  by('note-json').textContent = came === 'JSON' ? text('as_sent') : text('converted', { format: came });
  by('note-xml').textContent = came === 'XML' ? text('as_sent') : text('converted', { format: came });
  by('reply-headers').textContent = reply.headers.map(([name, value]) => `${name}: ${value}`).join('\n');
  showRefusal(members);
  // The format as it came is shown, unless another part of the result was chosen.
  const chosen = by('tabs').querySelector('[aria-selected=true]').id;
  if (['tab-json', 'tab-xml'].includes(chosen)) selectTab(by(came === 'XML' ? 'tab-xml' : 'tab-json'));
  return members.RequestId ?? '';
}

function badge(label, kind) {
  by('status').textContent = label;
  by('status').className = `badge ${kind}`;
}

/** Shows that a run is under way. The parts of the last run stay until its answer is there. */
export function showRunning() {
  badge(text('running'), '');
}

/** Shows a run: `{state, description, request, reply, failure}`. */
export function showRun({ state, description, request, reply, failure }) {
  showSteps(state, request);
  by('request-sent').textContent = requestText(request);
  if (reply) {
    badge(`${reply.status} ${reply.statusText}`.trim(), reply.status === 200 ? 'good' : 'bad');
    by('duration').textContent = text('duration', { milliseconds: reply.milliseconds });
    by('request-id').textContent = showReply(reply, description);
    return;
  }
  badge(text('no_answer'), 'bad');
  for (const id of ['duration', 'request-id', 'reply-json', 'reply-xml', 'reply-headers', 'note-json', 'note-xml']) {
    by(id).textContent = '';
  }
  showRefusal({});
  by('reply-json').textContent = failure;
}
