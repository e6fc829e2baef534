// Marks tell their values when they are pointed at, touched, or reached with the keyboard; the page does without it.
const tip = document.createElement("div");
tip.className = "tip";
tip.setAttribute("role", "status");
tip.hidden = true;
document.body.append(tip);

function show(mark) {
  tip.textContent = mark.dataset.value;
  tip.hidden = false;
  const at = mark.getBoundingClientRect();
  const left = at.left + at.width / 2 - tip.offsetWidth / 2;
  const room = document.documentElement.clientWidth - tip.offsetWidth - 4;
  tip.style.left = `${Math.max(4, Math.min(left, room)) + window.scrollX}px`;
  const above = at.top - tip.offsetHeight - 8;
  tip.style.top = `${(above > 0 ? above : at.bottom + 8) + window.scrollY}px`;
}

function hide() {
  tip.hidden = true;
}

function letTell(chart) {
  const marks = [...chart.querySelectorAll(".mark")];
  for (const mark of marks) {
    const title = mark.querySelector("title");
    mark.dataset.value = title.textContent;
    mark.setAttribute("role", "img");
    mark.setAttribute("aria-label", title.textContent);
    title.remove();
  }
  // A chart is one stop of the Tab key; arrows go from mark to mark.
  const stops = marks.filter((mark) => !mark.classList.contains("run"));
  const walk = stops.length > 0 ? stops : marks;
  walk.forEach((mark, i) => mark.setAttribute("tabindex", i === 0 ? "0" : "-1"));
  chart.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const next = walk[walk.indexOf(document.activeElement) + step];
    if (event.key === "Escape") hide();
    if (!step) return;
    event.preventDefault();
    if (next) next.focus();
  });
  const of = (event) => event.target.closest(".mark");
  for (const name of ["pointerover", "focusin"]) {
    chart.addEventListener(name, (event) => (of(event) ? show(of(event)) : hide()));
  }
  for (const name of ["pointerleave", "focusout"]) chart.addEventListener(name, hide);
}

// A chart's files are made from the chart that the page shows when they are asked for, so that the page holds it once.
const PIXELS_A_UNIT = 2;

function address(type, bytes) {
  return URL.createObjectURL(new Blob([bytes], { type }));
}

async function drawn(svg) {
  const image = new Image();
  image.src = `data:image/svg+xml,${encodeURIComponent(svg)}`;
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = image.naturalWidth * PIXELS_A_UNIT;
  canvas.height = image.naturalHeight * PIXELS_A_UNIT;
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => canvas.toBlob(resolve));
}

const FILES = {
  svg: async (svg) => address("image/svg+xml", svg),
  png: async (svg) => address("image/png", await drawn(svg)),
};

function offer(figure, svg) {
  for (const [extension, make] of Object.entries(FILES)) {
    const link = document.createElement("a");
    link.download = `${figure.id}.${extension}`;
    link.href = "#";
    link.textContent = extension.toUpperCase();
    link.addEventListener("click", async (event) => {
      if (link.href.startsWith("blob:")) return;
      event.preventDefault();
      link.href = await make(svg);
      link.click();
    });
    figure.querySelector(".downloads").append(link);
  }
}

for (const figure of document.querySelectorAll(".chart")) {
  const chart = figure.querySelector("svg");
  offer(figure, new XMLSerializer().serializeToString(chart));
  letTell(chart);
}

// Paper has nothing to unfold.
window.addEventListener("beforeprint", () => {
  for (const folded of document.querySelectorAll("details")) folded.open = true;
});
