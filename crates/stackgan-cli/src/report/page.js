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
    touched = Date.now();
  };
  show();
});
// When it was written; and while the run goes on, again after a while, but not under somebody's hands.
let touched = 0;
document.querySelectorAll('.written').forEach(line => {
  const {at, again} = line.dataset;
  line.textContent = 'Written ' + new Date(at * 1000).toLocaleString() +
    (again ? '. While the run goes on, this page is written again now and then, and loads itself.' : '.');
  if (again) setInterval(() => {
    if (document.visibilityState === 'visible' && Date.now() - touched > again * 1000) location.reload();
  }, again * 1000);
});
