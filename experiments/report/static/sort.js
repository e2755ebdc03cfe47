// A click on a column's name sorts its table: numbers by their size, the rest by the alphabet; a second click turns it.
"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const text = (row, column) => row.cells[column].textContent.trim();
  const sorted = (rows, column) => {
    const numbers = rows.map(row => parseFloat(text(row, column)));
    const numeric = column > 0 ? !numbers.some(Number.isNaN) : rows.every(row => !Number.isNaN(Number(text(row, 0))));
    const places = rows.map((row, place) => place);
    places.sort((a, b) => numeric ? numbers[a] - numbers[b] : text(rows[a], column).localeCompare(text(rows[b], column)));
    return places.map(place => rows[place]);
  };
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") !== "descending";
      heads.forEach(other => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const rows = [...body.rows].filter(row => !row.classList.contains("lead"));
      const up = sorted(rows, column);
      body.append(...(down ? up.reverse() : up));
    });
  });
}
