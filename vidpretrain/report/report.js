// Clips play while they are in view, unless the reader asked for less motion or has taken the controls.
(() => {
  if (matchMedia("(prefers-reduced-motion: reduce)").matches || !("IntersectionObserver" in window)) return;
  const watcher = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting && !target.dataset.held) target.play().catch(() => {});
      else if (!isIntersecting && !target.paused) { target.dataset.ours = "1"; target.pause(); }
    }
  }, { threshold: 0.6 });
  for (const video of document.querySelectorAll("video")) {
    video.addEventListener("pause", () => {
      if (video.dataset.ours) delete video.dataset.ours;
      else if (!video.ended) video.dataset.held = "1";
    });
    watcher.observe(video);
  }
})();
