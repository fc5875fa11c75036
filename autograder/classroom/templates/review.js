"use strict";
// Saves every change at once, one after the other for each form, and lets the keyboard do everything.
const base = document.body.dataset.base;

async function post(path, told) {
  try {
    const answer = await fetch(`${base}/${path}`, {
      method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(told), keepalive: true,
    });
    return { status: answer.status, ...(await answer.json().catch(() => ({ fault: "The server's answer makes no sense." }))) };
  } catch {
    return { status: 0, fault: "Not saved: the server does not answer. It is tried again." };
  }
}

const when = (text) => text.replace("T", " ").replace("+00:00", " UTC");
const worded = (points) => (points === null ? "no points" : points === 1 ? "1 point" : `${points} points`);

class Mark {
  constructor(form) {
    this.form = form;
    this.points = form.elements.points;
    this.comment = form.elements.comment;
    this.output = form.querySelector("output");
    this.conflict = form.querySelector(".conflict");
    this.version = Number(form.dataset.version);
    this.worth = Number(form.dataset.worth);
    this.saved = this.state();
    this.queue = Promise.resolve();
    this.timer = 0;
    form.addEventListener("input", () => this.soon());
    form.addEventListener("change", () => this.save());
    form.addEventListener("submit", (event) => { event.preventDefault(); this.save(); });
    form.addEventListener("focusin", () => activate(this));
    for (const button of form.querySelectorAll("[data-points]")) button.addEventListener("click", () => this.give(button.dataset.points));
    for (const button of form.querySelectorAll("[data-comment]")) button.addEventListener("click", () => this.add(button.dataset.comment));
  }
  state() { return JSON.stringify([this.points.value, this.comment.value]); }
  get dirty() { return this.state() !== this.saved; }
  say(text, wrong = false) { this.output.textContent = text; this.output.classList.toggle("wrong", wrong); }
  give(points) { this.points.value = points; this.save(); }
  add(line) {
    const held = this.comment.value.trimEnd();
    this.comment.value = held ? `${held}\n${line}` : line;
    this.save();
    this.comment.focus();
  }
  soon() { this.say("…"); clearTimeout(this.timer); this.timer = setTimeout(() => this.save(), 350); }
  save() { // one after the other: two at once would be in each other's way
    clearTimeout(this.timer);
    this.queue = this.queue.then(() => this.saveNow());
    return this.queue;
  }
  async saveNow() {
    if (!this.dirty) { if (this.output.textContent === "…") this.say("Saved"); return; }
    if (!this.points.checkValidity()) { this.say(this.points.validationMessage, true); return; }
    await this.send();
    if (this.again) { this.again = false; this.timer = setTimeout(() => this.save(), 1500); }
  }
  async send() {
    const state = this.state();
    const points = this.points.value === "" ? null : Number(this.points.value);
    this.say("Saving");
    const told = await post("save", { check: this.form.dataset.check, handle: this.form.dataset.handle, points, comment: this.comment.value, version: this.version });
    if (told.saved) {
      this.version = told.saved.version;
      this.saved = state;
      this.conflict.hidden = true;
      this.say(`Saved by ${told.saved.author}, ${when(told.saved.changed)}`);
    } else if (told.conflict) this.choose(told.conflict);
    else { this.say(told.fault ?? "Not saved.", true); this.again = told.status === 0; }
  }
  choose(theirs) {
    const text = document.createElement("p");
    text.textContent = `${theirs.author} has changed this in the meantime: ${worded(theirs.points)}${theirs.comment ? `, “${theirs.comment}”` : ", no comment"}. Yours is not saved yet.`;
    const button = (label, act) => {
      const made = document.createElement("button");
      made.type = "button"; made.className = "button"; made.textContent = label;
      made.addEventListener("click", () => { this.conflict.hidden = true; act(); });
      return made;
    };
    const row = document.createElement("div");
    row.className = "row";
    row.append(
      button("Take theirs", () => {
        this.version = theirs.version; this.points.value = theirs.points ?? ""; this.comment.value = theirs.comment;
        this.saved = this.state(); this.say("Theirs stands"); this.points.focus();
      }),
      button("Save mine instead", () => { this.version = theirs.version; this.save(); this.points.focus(); }),
    );
    this.conflict.replaceChildren(text, row);
    this.conflict.hidden = false;
    this.say("Not saved", true);
    row.firstChild.focus();
  }
}

const marks = [...document.querySelectorAll("form.give")].map((form) => new Mark(form));
let active = null;
function activate(mark) {
  active?.form.classList.remove("active");
  active = mark;
  active?.form.classList.add("active");
}
const open = () => marks.filter((mark) => !mark.form.closest("details:not([open])"));
activate(open()[0] ?? null);

async function settled() {
  for (const mark of marks) if (mark.dirty) await mark.save();
  return marks.every((mark) => !mark.dirty);
}
async function go(link) {
  if (!link) return;
  if (await settled()) location.href = link.href;
  else marks.find((mark) => mark.dirty)?.points.focus(); // what is wrong is said there
}
for (const link of document.querySelectorAll("a[href]")) {
  link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || !marks.some((mark) => mark.dirty)) return;
    event.preventDefault();
    go(link);
  });
}
addEventListener("beforeunload", (event) => {
  if (marks.some((mark) => mark.dirty)) event.preventDefault();
});

const keys = {
  j: () => go(document.querySelector('[data-go="j"]')),
  k: () => go(document.querySelector('[data-go="k"]')),
  u: () => go(document.querySelector('[data-go="u"]')),
  p: () => { active?.points.focus(); active?.points.select(); },
  c: () => active?.comment.focus(),
  r: () => active?.form.querySelector("[data-comment]")?.focus(),
  f: () => active?.give(String(active.worth)),
  x: () => active?.give(""),
  h: () => active?.give(String(Math.min(active.worth, Number(active.points.value) + 0.5))),
  v: () => {
    const all = open();
    if (all.length) { activate(all[(all.indexOf(active) + 1) % all.length]); active.form.scrollIntoView({ block: "nearest" }); active.points.focus(); }
  },
};
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  const typing = event.target.closest("input, textarea, select");
  if (event.key === "Escape") {
    if (typing) typing.blur();
    document.querySelector("details.keys")?.removeAttribute("open");
    return;
  }
  if (typing) return;
  if (/^[0-9]$/.test(event.key) && active) {
    if (Number(event.key) <= active.worth) active.give(event.key);
    else active.say(`This is worth ${worded(active.worth)}.`, true);
  } else if (event.key === "?") {
    const help = document.querySelector("details.keys");
    if (help) help.open = !help.open;
  } else if (keys[event.key]) keys[event.key]();
  else return;
  event.preventDefault();
});

for (const form of document.querySelectorAll("form.worth")) {
  const output = form.querySelector("output");
  const save = async () => {
    const points = form.elements.points.value === "" ? null : Number(form.elements.points.value);
    const told = await post("worth", { check: form.dataset.check, points });
    output.textContent = told.fault ?? "Saved";
    output.classList.toggle("wrong", Boolean(told.fault));
  };
  form.addEventListener("change", save);
  form.addEventListener("submit", (event) => event.preventDefault());
}
for (const button of document.querySelectorAll("[data-write]")) {
  const output = document.querySelector("[data-said]");
  button.addEventListener("click", async () => {
    button.disabled = true;
    output.textContent = "Writing …";
    const told = await post("write", {});
    output.textContent = told.written ? "Tables, results and pages are up to date." : told.fault ?? "A class is being graded there; it will write them itself.";
    button.disabled = false;
  });
}
