
"use strict";
(() => {
  const outcome = document.getElementById("outcome");
  const text = document.getElementById("text");
  const tables = [...document.querySelectorAll("table")];

  const filter = () => {
    const wanted = text.value.trim().toLowerCase();
    const counts = tables.map((table) => {
      let shown = 0;
      for (const row of table.tBodies[0].rows) {
        const fits = (!outcome.value || row.dataset.code === outcome.value)
          && (!wanted || row.textContent.toLowerCase().includes(wanted));
        row.hidden = !fits;
        shown += fits;
      }
      return `${shown.toLocaleString("en")} ${table.id}`;
    });
    document.getElementById("shown").textContent = counts.join(", ");
  };

  const sort = (head) => {
    const table = head.closest("table");
    const body = table.tBodies[0];
    const down = head.getAttribute("aria-sort") === "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const compare = new Intl.Collator("en", { numeric: true }).compare;
    const of = (row) => row.cells[head.cellIndex].textContent;
    const rows = [...body.rows].sort((a, b) => (down ? -1 : 1) * compare(of(a), of(b)));
    body.append(...rows);
  };

  for (const head of document.querySelectorAll("th")) {
    head.addEventListener("click", () => sort(head));
    head.addEventListener("keydown", (event) => { if (event.key === "Enter") sort(head); });
  }
  outcome.addEventListener("change", filter);
  text.addEventListener("input", filter);
  filter();
})();
