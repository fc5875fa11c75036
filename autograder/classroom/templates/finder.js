"use strict";
// Leaves only those rows of the submissions that are looked for.
for (const form of document.querySelectorAll("form.finder")) {
  const rows = [...document.querySelectorAll("table.found tbody tr")];
  const fields = form.elements;
  const output = form.querySelector("output");
  const has = (held, wanted) => wanted === "" || held.split(" ").includes(wanted);
  const show = () => {
    const words = fields.text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const status = fields.status.value;
    let count = 0;
    for (const row of rows) {
      const { text, lost, told } = row.dataset;
      const state = status === "" || row.dataset.status === status || (status === "to be read" && row.dataset.unread);
      const found = state && has(lost, fields.lost.value) && has(told, fields.told.value) && words.every((word) => text.includes(word));
      if (row.hidden === found) row.hidden = !found;
      count += found;
    }
    output.textContent = `${count} of ${rows.length} submissions`;
  };
  form.hidden = false;
  form.addEventListener("input", show);
  form.addEventListener("reset", () => setTimeout(show));
  form.addEventListener("submit", (event) => event.preventDefault());
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, select, textarea")) return;
    event.preventDefault();
    fields.text.focus();
  });
  show(); // a browser that goes back keeps what was typed
}
