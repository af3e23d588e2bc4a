// One slider for pictures over time. Where it stands is kept in the address, so that a page that loads itself again stays there.
const kept = new URLSearchParams(location.hash.slice(1));
document.querySelectorAll('.slider').forEach((figure, n) => {
  const frames = [...figure.querySelectorAll('img')], range = figure.querySelector('input'), output = figure.querySelector('output');
  const show = () => {
    frames.forEach((frame, i) => frame.hidden = i != range.value);
    output.textContent = frames[range.value].alt;
  };
  const at = frames.findIndex(frame => frame.alt === kept.get('s' + n));
  if (at >= 0) range.value = at;
  range.oninput = () => {
    show();
    if (range.value === range.max) kept.delete('s' + n); else kept.set('s' + n, output.textContent);
    location.replace('#' + kept);
  };
  show();
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
