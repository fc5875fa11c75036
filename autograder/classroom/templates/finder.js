"use strict";
// Leaves only those rows of the submissions that are looked for, and of many the first ones of the present order.
const FIRST = 200; // a table of 1,000 rows takes a browser more than the tenth of a second that people notice
for (const form of document.querySelectorAll("form.finder")) {
  const table = document.querySelector("table.found");
  const body = table.tBodies[0];
  const fields = form.elements;
  const output = form.querySelector("output");
  const more = form.querySelector("button.more");
  const has = (held, wanted) => wanted === "" || held.split(" ").includes(wanted);
  let most = FIRST;
  const show = () => {
    const words = fields.text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const status = fields.status.value;
    let count = 0;
    for (const row of body.rows) {
      const { text, lost, told } = row.dataset;
      const state = status === "" || row.dataset.status === status || (status === "to be read" && row.dataset.unread);
      const found = state && has(lost, fields.lost.value) && has(told, fields.told.value) && words.every((word) => text.includes(word));
      count += found;
      const beyond = found && count > most;
      if (row.hidden === found) row.hidden = !found;
      if (row.classList.contains("beyond") !== beyond) row.classList.toggle("beyond", beyond);
    }
    output.textContent = `${count} of ${body.rows.length} submissions` + (count > most ? `, the first ${most} are shown` : "");
    more.hidden = count <= most;
    more.textContent = `Show the other ${count - most}`;
  };
  const anew = () => {
    most = FIRST;
    show();
  };
  form.hidden = false;
  form.addEventListener("input", anew);
  form.addEventListener("reset", () => setTimeout(anew));
  form.addEventListener("submit", (event) => event.preventDefault());
  table.addEventListener("sorted", show);
  more.addEventListener("click", () => {
    most = Infinity;
    show();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, select, textarea")) return;
    event.preventDefault();
    fields.text.focus();
  });
  show(); // a browser that goes back keeps what was typed
}
