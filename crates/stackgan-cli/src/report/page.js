// What the reader did is kept in the address, so that a page that loads itself again stays as it was.
const kept = new URLSearchParams(location.hash.slice(1));
const keep = (name, value) => {
  if (value === null) kept.delete(name); else kept.set(name, value);
  history.replaceState(null, '', '#' + kept);
};
// One slider for pictures over time; a click on a picture shows it in full size.
document.querySelectorAll('.slider').forEach((figure, n) => {
  const frames = [...figure.querySelectorAll('img')], range = figure.querySelector('input');
  const output = figure.querySelector('output'), box = figure.querySelector('.frames');
  const show = () => {
    frames.forEach((frame, i) => frame.hidden = i != range.value);
    output.textContent = frames[range.value].dataset.label;
    range.setAttribute('aria-valuetext', output.textContent);
  };
  const at = frames.findIndex(frame => frame.dataset.label === kept.get('s' + n));
  if (at >= 0) range.value = at;
  range.oninput = () => {
    show();
    keep('s' + n, range.value === range.max ? null : output.textContent);
  };
  box.onclick = () => box.classList.toggle('whole');
  box.onkeydown = event => {
    if (event.key === 'Enter') box.click();
  };
  show();
});
document.querySelectorAll('details').forEach((details, n) => {
  const before = details.open;
  if (kept.has('d' + n)) details.open = !before;
  details.ontoggle = () => keep('d' + n, details.open === before ? null : '1');
});
// When it was written; and while the run goes on, again after a while, but not under somebody's hands.
let touched = 0;
for (const kind of ['wheel', 'scroll', 'keydown', 'pointerdown', 'touchmove', 'input'])
  addEventListener(kind, () => touched = Date.now(), {capture: true, passive: true});
const busy = again => document.visibilityState !== 'visible' || Date.now() - touched < Math.max(again, 30000) ||
  document.querySelector('.whole') || String(getSelection());
document.querySelectorAll('.written').forEach(line => {
  const at = line.dataset.at * 1000, again = line.dataset.again * 1000, when = new Date(at).toLocaleString();
  line.textContent = 'Written ' + when + (again ? '. While the run goes on, this page is written again now and then, and loads itself.' : '.');
  if (!again) return;
  const look = () => {
    if (Date.now() - at < line.dataset.patience * 1000) return true;
    line.textContent = 'Not written since ' + when + ': the run may have ended, or has not told of itself for long. This page loads itself no more.';
    line.classList.add('stale');
    document.querySelector('.tiles dd').textContent = 'running?';
    clearInterval(timer);
  };
  const timer = setInterval(() => {
    if (look() && !busy(again)) location.reload();
  }, again);
  look();
});
