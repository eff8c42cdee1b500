// The runs of this page, in its memory only.
import { by, element } from './dom.js';

// More would make the list hard to read, and the replies would take memory for nothing.
const LARGEST = 50;

const clock = (date) => date.toTimeString().slice(0, 8);

function mark(chosen) {
  for (const button of by('history').querySelectorAll('button')) {
    if (button === chosen) button.setAttribute('aria-current', 'true');
    else button.removeAttribute('aria-current');
  }
}

/** Adds a run in front. `restore` gets the run when its button is pressed. */
export function addRun(run, restore) {
  const values = Object.values(run.state.parameters).join(', ');
  const answer = run.reply ? `${run.code || run.reply.status} · ${run.reply.milliseconds} ms` : '–';
  const button = element(
    'button',
    { type: 'button', title: values },
    element('span', { textContent: run.state.action }),
    element('span', { className: 'quiet', textContent: `${clock(run.at)} · ${answer}` }),
  );
  button.addEventListener('click', () => {
    mark(button);
    restore(run);
  });
  by('history').prepend(element('li', {}, button));
  by('history').children[LARGEST]?.remove();
  by('history-empty').hidden = true;
  mark(button);
}
