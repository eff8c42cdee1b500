// Tabs by the pattern of the ARIA practices: one tab stop, arrow keys, Home and End.

/** Shows the panel of this tab and hides the others. */
export function selectTab(tab) {
  for (const other of tab.parentElement.children) {
    const chosen = other === tab;
    other.setAttribute('aria-selected', String(chosen));
    other.tabIndex = chosen ? 0 : -1;
    document.getElementById(other.getAttribute('aria-controls')).hidden = !chosen;
  }
}

/** Returns the tab that a key leads to, or undefined. */
function target(key, tabs, current) {
  const at = tabs.indexOf(current);
  const steps = { ArrowRight: at + 1, ArrowLeft: at - 1 + tabs.length, Home: 0, End: tabs.length - 1 };
  return key in steps ? tabs[steps[key] % tabs.length] : undefined;
}

/** Makes a list of tabs work by mouse and keyboard. */
export function startTabs(list) {
  const tabs = [...list.children];
  selectTab(tabs.find((tab) => tab.getAttribute('aria-selected') === 'true') ?? tabs[0]);
  list.addEventListener('click', (event) => {
    const tab = event.target.closest('[role=tab]');
    if (tab) selectTab(tab);
  });
  list.addEventListener('keydown', (event) => {
    const next = target(event.key, tabs, event.target);
    if (!next) return;
    event.preventDefault();
    selectTab(next);
    next.focus();
  });
}
