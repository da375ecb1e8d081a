// wx.previewMedia: pictures over the whole page.

import { answer } from './callbacks';
import { say } from '../language';
import { overlay } from './dialogs';
import { download, nameOf, urlOf } from './files';

interface Preview {
  sources: { url: string; type?: string }[];
  current?: number;
}

/** Pixels that a finger moves to turn to the next picture. */
const SWIPE_PX = 50;

function button(parent: Element, name: string, label: string, press: () => void): HTMLButtonElement {
  const made = document.createElement('button');
  made.type = 'button';
  made.className = name;
  made.ariaLabel = label;
  made.addEventListener('click', press);
  return parent.appendChild(made);
}

export const previewMedia = answer('previewMedia', ({ sources, current = 0 }: Preview) => {
  if (sources.length === 0) throw new Error('sources are empty');
  let at = Math.min(Math.max(current, 0), sources.length - 1);
  const shown = overlay<object>('mp-preview', say('图片', 'Picture'), (box, _, cancel) => {
    const image = box.appendChild(document.createElement('img'));
    image.alt = '';
    image.draggable = false;
    const count = box.appendChild(document.createElement('div'));
    count.className = 'mp-preview-count';
    let url = '';
    const show = () => {
      count.textContent = sources.length > 1 ? `${at + 1} / ${sources.length}` : '';
      previous.hidden = at === 0;
      next.hidden = at === sources.length - 1;
      const wanted = sources[at]?.url ?? '';
      url = '';
      void urlOf(wanted).then(
        (found) => {
          if (sources[at]?.url === wanted) image.src = url = found;
        },
        () => {
          image.removeAttribute('src');
        },
      );
    };
    const turn = (by: number) => {
      const to = at + by;
      if (to < 0 || to >= sources.length) return;
      at = to;
      show();
    };
    const close = button(box, 'mp-preview-close', say('关闭', 'Close'), cancel);
    const previous = button(box, 'mp-preview-previous', say('上一张', 'Previous'), () => {
      turn(-1);
    });
    const next = button(box, 'mp-preview-next', say('下一张', 'Next'), () => {
      turn(1);
    });
    button(box, 'mp-preview-save', say('保存图片', 'Save'), () => {
      if (url) download(url, `${nameOf(sources[at]?.url ?? '') || 'picture'}.jpg`);
    });
    box.tabIndex = -1;
    box.addEventListener('keydown', ({ key }) => {
      if (key === 'ArrowLeft') turn(-1);
      if (key === 'ArrowRight') turn(1);
      // A button that disappears takes the focus with it.
      if ((document.activeElement as HTMLElement | null)?.hidden) close.focus();
    });
    // A tap on the picture closes it, as in WeChat; a swipe turns.
    let start: number | undefined;
    image.addEventListener('pointerdown', ({ clientX }) => {
      start = clientX;
    });
    image.addEventListener('pointerup', ({ clientX }) => {
      const moved = clientX - (start ?? clientX);
      if (Math.abs(moved) > SWIPE_PX) turn(moved > 0 ? -1 : 1);
      else if (start !== undefined) cancel();
      start = undefined;
    });
    show();
  });
  // It is shown; closing it is no failure.
  shown.catch(() => undefined);
  return {};
});
