// Filters the table of errors while the reader types. Every word of the search must occur in a row.

const search = document.querySelector("#search");
const count = document.querySelector("#count");
const rows = [...document.querySelectorAll("tr[data-code]")].map((row) => ({
  row,
  text: row.textContent.toLowerCase(),
  pattern: row.dataset.code.toLowerCase().split("{parameter}"),
}));

// Whether the word is a code with a parameter, as missingbilltype is one of missing{parameter}.
function isOfPattern(word, [before, after]) {
  return after !== undefined && word.length > before.length + after.length
    && word.startsWith(before) && word.endsWith(after);
}

function filter() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const { row, text, pattern } of rows) {
    row.hidden = !words.every((word) => text.includes(word) || isOfPattern(word, pattern));
    shown += row.hidden ? 0 : 1;
  }
  count.textContent = count.dataset.pattern.replace("{shown}", shown).replace("{all}", rows.length);
}

search.addEventListener("input", filter);
search.addEventListener("keydown", (event) => {
  const links = document.querySelectorAll("tr[data-code]:not([hidden]) a");
  if (event.key === "Enter" && links.length > 0) {
    links[0].focus();
  } else if (event.key === "Escape") {
    search.value = "";
    filter();
  }
});
filter(); // a browser restores the text of the field when the reader comes back
