"use strict";
// Heads of tables become buttons that sort; numbers fall first, and what is missing stays at the end.
const alphabet = new Intl.Collator("en", { numeric: true });
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const key = (row, column) => row.cells[column].dataset.sort ?? row.cells[column].textContent.trim();
  heads.forEach((head, column) => {
    const numeric = head.classList.contains("number") || head.classList.contains("who");
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const before = head.getAttribute("aria-sort") ?? (numeric ? "ascending" : "descending");
      const after = before === "ascending" ? "descending" : "ascending";
      const sign = after === "ascending" ? 1 : -1;
      const order = ([one], [other]) => {
        if (one === "" || other === "") return (one === "") - (other === "");
        return sign * (numeric ? one - other : alphabet.compare(one, other));
      };
      const keyed = [...body.rows].map((row) => [key(row, column), row]).sort(order);
      heads.forEach((each) => each.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", after);
      body.replaceChildren(...keyed.map(([, row]) => row));
      table.dispatchEvent(new Event("sorted"));
    });
  });
}
