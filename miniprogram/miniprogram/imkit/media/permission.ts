// Says why WeChat has refused, and leads to the settings where the user can allow it.

import { texts } from '../texts/index';

type Scope = 'scope.record' | 'scope.camera' | 'scope.writePhotosAlbum';

/** The user has chosen nothing, which needs no words. */
export function isCancelled(message: string): boolean {
  return message.includes('cancel');
}

/** `scope` is the permission that it needs, if it needs one. */
export function refused(error: unknown, scope: Scope | null): void {
  const { errMsg = '' } = error as { errMsg?: string };
  if (isCancelled(errMsg)) return;
  const { media: say, cancel } = texts();
  const isDenied = /auth|permission|privacy|denied/i.test(errMsg);
  if (!isDenied) {
    void wx.showToast({ title: say.failed, icon: 'none' });
    return;
  }
  const title = scope === null ? say.notAllowed : say.denied[scope];
  if (scope === null || errMsg.includes('privacy') || !wx.canIUse('openSetting')) {
    void wx.showToast({ title, icon: 'none' });
    return;
  }
  wx.showModal({
    content: title,
    cancelText: cancel,
    confirmText: say.settings,
    success: ({ confirm }) => {
      if (confirm) void wx.openSetting();
    },
  });
}
