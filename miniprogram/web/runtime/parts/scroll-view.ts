// <scroll-view>.

import type { Property, Setup } from './define';

export const scrollViewProperties: Record<string, Property> = {
  scrollX: Boolean,
  scrollY: Boolean,
  scrollTop: Number,
  scrollIntoView: String,
  scrollWithAnimation: Boolean,
  scrollAnchoring: Boolean,
  upperThreshold: { type: Number, value: 50 },
  lowerThreshold: { type: Number, value: 50 },
  enhanced: Boolean,
  bounces: { type: Boolean, value: true },
  showScrollbar: { type: Boolean, value: true },
  refresherEnabled: Boolean,
  refresherTriggered: Boolean,
};

export const scrollView: Setup = (part, element, emit) => {
  let last = 0;
  let wasAtTop = true;
  let wasAtBottom = false;
  element.addEventListener(
    'scroll',
    () => {
      const { scrollTop, scrollHeight, clientHeight } = element;
      emit('scroll', { scrollTop, scrollHeight, deltaY: last - scrollTop });
      last = scrollTop;
      const isAtTop = scrollTop <= (part.data.upperThreshold as number);
      const isAtBottom = scrollHeight - scrollTop - clientHeight <= (part.data.lowerThreshold as number);
      if (isAtTop && !wasAtTop) emit('scrolltoupper', { direction: 'top' });
      if (isAtBottom && !wasAtBottom) emit('scrolltolower', { direction: 'bottom' });
      wasAtTop = isAtTop;
      wasAtBottom = isAtBottom;
    },
    { passive: true },
  );
  const scrollTo = (top: number) => {
    element.scrollTo({ top, behavior: part.data.scrollWithAnimation ? 'smooth' : 'instant' });
  };
  const pull = pullToRefresh(element, () => part.data.refresherEnabled === true, emit);
  return {
    scrollY: (value: boolean) => {
      element.style.overflowY = value ? 'auto' : '';
    },
    scrollX: (value: boolean) => {
      element.style.overflowX = value ? 'auto' : '';
    },
    scrollAnchoring: (value: boolean) => {
      element.style.setProperty('overflow-anchor', value ? 'auto' : 'none');
    },
    scrollTop: scrollTo,
    scrollIntoView: (id: string) => {
      const target = id ? part.ownerShadowRoot?.getElementById(id)?.$$ : undefined;
      if (!target) return;
      const offset = target.getBoundingClientRect().top - element.getBoundingClientRect().top;
      scrollTo(element.scrollTop + offset);
    },
    refresherTriggered: pull,
  };
};

/** Pixels that a finger has to pull to refresh. */
const PULL_PX = 60;

/** Refreshes when a finger or a wheel pulls at the top. Returns the observer of `refresher-triggered`. */
function pullToRefresh(
  element: HTMLElement,
  isEnabled: () => boolean,
  emit: (name: string, detail: unknown) => void,
): (isTriggered: boolean) => void {
  const mark = document.createElement('div');
  mark.className = 'mp-refresh';
  let start: number | undefined;
  let pulled = 0;
  let isRefreshing = false;
  const draw = (height: number) => {
    if (height > 0 && !mark.isConnected) element.prepend(mark);
    if (height === 0) mark.remove();
    mark.style.height = `${height}px`;
  };
  const refresh = () => {
    if (isRefreshing) return;
    isRefreshing = true;
    draw(PULL_PX);
    emit('refresherrefresh', {});
  };
  element.addEventListener('touchstart', (event) => {
    start = isEnabled() && element.scrollTop <= 0 ? event.touches[0]?.clientY : undefined;
  });
  element.addEventListener(
    'touchmove',
    (event) => {
      if (start === undefined || isRefreshing) return;
      pulled = Math.max(0, ((event.touches[0]?.clientY ?? 0) - start) / 2);
      draw(Math.min(pulled, PULL_PX));
    },
    { passive: true },
  );
  const release = () => {
    if (start === undefined || isRefreshing) return;
    if (pulled >= PULL_PX) refresh();
    else draw(0);
    start = undefined;
    pulled = 0;
  };
  element.addEventListener('touchend', release);
  element.addEventListener('touchcancel', release);
  return (isTriggered) => {
    if (isTriggered) {
      isRefreshing = true;
      draw(PULL_PX);
    } else {
      isRefreshing = false;
      draw(0);
    }
  };
}
