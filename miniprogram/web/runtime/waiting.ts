// What is on the screen while a page is on its way, and the question when it does not come.

import { addCloser, removeCloser } from './closers';
import { isChinese } from './language';
import { modal, overlay } from './wx/dialogs';

const say = isChinese
  ? { loading: '正在加载', failed: '页面没有加载成功，请检查网络。', stale: '有新版本，刷新后继续。', retry: '重试', reload: '刷新', cancel: '取消' }
  : {
      loading: 'Loading',
      failed: 'This page could not be loaded. Check the network.',
      stale: 'There is a new version. Reload to go on.',
      retry: 'Retry',
      reload: 'Reload',
      cancel: 'Cancel',
    };

/** Runs `load`, until it succeeds or the user gives up; then it rejects with `cancel`. */
export async function wait(load: () => Promise<unknown>): Promise<void> {
  for (;;) {
    try {
      await masked(load());
      return;
    } catch (error) {
      if (error === CANCELLED || !(await ask())) throw CANCELLED;
    }
  }
}

const CANCELLED = new Error('cancel');

/** Keeps taps from the page, which going back ends. */
function masked(loading: Promise<unknown>): Promise<unknown> {
  const mask = document.createElement('div');
  mask.className = 'mp-waiting';
  mask.role = 'status';
  mask.ariaLabel = say.loading;
  document.body.append(mask);
  return new Promise((resolve, reject) => {
    const cancel = () => {
      reject(CANCELLED);
    };
    addCloser(cancel);
    loading.then(resolve, reject).finally(() => {
      removeCloser(cancel);
    });
  }).finally(() => {
    mask.remove();
  });
}

/** Whether to try again. The return of the network answers that. */
async function ask(): Promise<boolean> {
  const over = new AbortController();
  const content = window.mp.isStale ? say.stale : say.failed;
  const question = overlay<{ confirm: boolean }>('mp-modal', content, (box, resolve) => {
    const confirmText = window.mp.isStale ? say.reload : say.retry;
    modal({ content, confirmText, cancelText: say.cancel })(box, resolve);
    const again = () => {
      resolve({ confirm: true });
    };
    window.addEventListener('online', again, { signal: over.signal });
  });
  const { confirm } = await question.catch(() => ({ confirm: false }));
  over.abort();
  // The pages that are open are shown again.
  if (confirm && window.mp.isStale) location.reload();
  return confirm;
}
