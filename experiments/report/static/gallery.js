// Images enlarge in a dialog; the arrow keys go through all of the page.
"use strict";
(() => {
  const dialog = document.getElementById("gallery");
  const buttons = [...document.querySelectorAll("button.zoom")];
  const [image, text, place] = ["img", "p", "output"].map(name => dialog.querySelector(name));
  let current = 0;

  function show(number) {
    current = (number + buttons.length) % buttons.length;
    const small = buttons[current].querySelector("img");
    const full = buttons[current].dataset.full;
    image.onerror = full ? () => { image.onerror = null; image.src = small.src; } : null;  // the page was moved away from its run
    image.onload = () => image.classList.toggle("pixels", image.naturalWidth <= 128);
    image.src = full || small.src;
    image.alt = small.alt;
    text.textContent = [buttons[current].closest("[data-prompt]")?.dataset.prompt, small.alt].filter(Boolean).join(" · ");
    place.textContent = `${current + 1} of ${buttons.length}`;
  }

  const steps = { ArrowRight: 1, ArrowLeft: -1 };
  buttons.forEach((button, number) => button.addEventListener("click", () => {
    show(number);
    dialog.showModal();
  }));
  dialog.addEventListener("keydown", event => {
    if (event.key in steps) show(current + steps[event.key]);
    else if (event.key === "Home") show(0);
    else if (event.key === "End") show(buttons.length - 1);
    else return;
    event.preventDefault();
  });
  dialog.addEventListener("click", event => {
    const step = event.target.closest("button")?.value;
    if (step === "close" || event.target === dialog) dialog.close();
    else if (step) show(current + Number(step));
  });
  dialog.addEventListener("close", () => {
    buttons[current].closest("details")?.setAttribute("open", "");
    buttons[current].focus();
  });
})();
