/* global document, EventSource, setInterval */

/** Puts in what is new, and counts the seconds. Without this script the page is reloaded now and then. */

const status = document.getElementById('live');
let lostAt;

const source = new EventSource('live');
source.onmessage = ({ data }) => {
  for (const [id, markup] of Object.entries(JSON.parse(data))) {
    document.getElementById(id).innerHTML = markup; // escaped by the server
  }
  count();
};
source.onopen = () => {
  lostAt = undefined;
  document.body.dataset.live = 'yes';
  count();
};
source.onerror = () => {
  lostAt ??= new Date();
  document.body.dataset.live = 'no';
  count();
};
setInterval(count, 1000);

function count() {
  const now = new Date();
  const text =
    lostAt === undefined
      ? 'live'
      : `the gateway does not answer since ${lostAt.toISOString().slice(11, 19)}`;
  if (status.textContent !== text) status.textContent = text; // read out once
  for (const time of document.querySelectorAll('.since time')) {
    const since = new Date(time.dateTime);
    time.textContent = `${time.dateTime.slice(11, 19)}, ${duration((now - since) / 1000)}`;
  }
}

function duration(seconds) {
  if (seconds < 60) return `${Math.max(0, Math.floor(seconds))} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}
