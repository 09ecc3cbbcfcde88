/* hearth: comforts only; every page is complete without this file. */
(() => {
  "use strict";
  const doc = document, all = (q, in_ = doc) => [...in_.querySelectorAll(q)];
  const toast = (text) => {
    const box = doc.getElementById("h-toast");
    if (!box) return;
    box.textContent = text;
    setTimeout(() => { box.textContent = ""; }, 2500);
  };
  /* a button on every block of code */
  for (const pre of all(".cp > pre")) {
    const button = doc.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = "Copy";
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(pre.innerText.replace(/\n$/, ""));
      toast("Copied");
    });
    pre.parentNode.append(button);
  }
  /* headings of a card carry a prefix: an address without it still leads there */
  if (location.hash && !doc.getElementById(location.hash.slice(1))) {
    const there = doc.getElementById("user-content-" + decodeURIComponent(location.hash.slice(1)));
    if (there) there.scrollIntoView();
  }
  /* selects that only sort or filter need no button */
  for (const select of all("form[data-auto] select")) {
    select.addEventListener("change", () => select.form.submit());
  }
  for (const button of all("form[data-auto] button")) button.hidden = true;
  /* keys: "/" to search, j and k to walk a list, Escape to close menus */
  const keys = doc.documentElement.dataset.keys !== "off";
  const rows = all("[data-rows] a[data-row]");
  doc.addEventListener("keydown", (e) => {
    if (e.key === "Escape") for (const d of all("header details[open]")) d.open = false;
    const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(e.target.tagName) || e.target.isContentEditable;
    if (!keys || typing || e.ctrlKey || e.metaKey || e.altKey) return;
    if (e.key === "/") {
      const box = doc.getElementById("h-q");
      if (box) { box.focus(); e.preventDefault(); }
    } else if ((e.key === "j" || e.key === "k") && rows.length) {
      const at = rows.indexOf(doc.activeElement);
      const to = rows[Math.min(rows.length - 1, Math.max(0, at + (e.key === "j" ? 1 : -1)))];
      to.focus();
    }
  });
  /* times stay true while a page is open */
  const units = [["year", 31536000], ["month", 2592000], ["day", 86400], ["hour", 3600], ["minute", 60]];
  const relative = () => {
    for (const t of all("time[data-relative]")) {
      const s = (Date.now() - Date.parse(t.dateTime)) / 1000;
      const u = units.find(([, n]) => s >= n);
      t.textContent = u ? `${Math.floor(s / u[1])} ${u[0]}${s >= 2 * u[1] ? "s" : ""} ago` : "just now";
    }
  };
  setInterval(relative, 60000);
})();
