// Tells when the day ends: what was written today was written yesterday from then on.

/** Calls `draw` at each midnight of this phone, until the result is called. */
export function eachMidnight(draw: () => void): () => void {
  let timer = 0;
  const wait = () => {
    const [now, next] = [new Date(), new Date()];
    next.setHours(24, 0, 0, 0);
    timer = setTimeout(() => {
      draw();
      wait();
    }, next.getTime() - now.getTime());
  };
  wait();
  return () => {
    clearTimeout(timer);
  };
}
