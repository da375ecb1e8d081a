// The part of `wx` that the mini program uses, in a browser.

import { say } from '../language';
import { isLikeWechat } from '../like';
import type { Router } from '../router';
import { theme } from '../theme';
import { answer } from './callbacks';
import { createDialogs } from './dialogs';
import { standIns, USER_DATA_PATH } from './later';
import { lifecycle } from './lifecycle';
import { connectSocket, onNetworkStatusChange, request } from './network';
import { DECLARED, Privacy } from './privacy';
import { getStorageSync, removeStorageSync, setStorageSync } from './storage';
import { requestSubscribeMessage, subscriptionsSetting } from './subscribe';

interface Target {
  url: string;
}

/** The gate of the app. */
export const privacy = new Privacy(DECLARED, !isLikeWechat);

/** What only WeChat has: a login, and messages to who is away. */
const LIKE_WECHAT = {
  login: answer('login', () => ({ code: 'pretended' })),
  requestSubscribeMessage,
  getSetting: answer('getSetting', ({ withSubscriptions }: { withSubscriptions?: boolean }) => ({
    authSetting: {},
    ...(withSubscriptions && { subscriptionsSetting: subscriptionsSetting() }),
  })),
};

/** A phone that changes its language starts the app anew: the texts of another one may not be here. */
const language = navigator.language.replace('-', '_');

/** What the components have, besides functions. */
const PARTS: ReadonlySet<string> = new Set(['input.bindnicknamereview']);

export function createWx(router: Router) {
  const go = (name: string, open: (url: string) => boolean) =>
    answer(name, ({ url }: Target) =>
      router.when([url], () => {
        if (!open(url)) throw new Error(`there is no page ${url}, or it cannot be opened so`);
        return {};
      }),
    );
  const tab = (name: string, change: (index: number, text: string) => void) =>
    answer(name, ({ index, text = '' }: { index: number; text?: string }) => {
      change(index, text);
      return {};
    });
  const dialogs = createDialogs(document.body);
  const wx = {
    connectSocket,
    request,
    onNetworkStatusChange,
    getStorageSync,
    setStorageSync,
    removeStorageSync,
    ...lifecycle,
    ...dialogs,
    ...standIns(),
    navigateTo: go('navigateTo', (url) => router.navigateTo(url)),
    redirectTo: go('redirectTo', (url) => router.redirectTo(url)),
    reLaunch: go('reLaunch', (url) => router.reLaunch(url)),
    switchTab: go('switchTab', (url) => router.switchTab(url)),
    navigateBack: answer('navigateBack', ({ delta = 1 }: { delta?: number }) => {
      if (!router.navigateBack(delta)) throw new Error('this is the first page');
      return {};
    }),
    setNavigationBarTitle: answer('setNavigationBarTitle', ({ title }: { title: string }) => {
      router.setTitle(title);
      return {};
    }),
    hideHomeButton: answer('hideHomeButton', () => {
      router.top.hideHomeButton();
      return {};
    }),
    setTabBarItem: tab('setTabBarItem', (index, text) => router.tabBar?.setText(index, text)),
    setTabBarBadge: tab('setTabBarBadge', (index, text) => {
      router.setBadge(index, text);
    }),
    removeTabBarBadge: tab('removeTabBarBadge', (index) => {
      router.setBadge(index, '');
    }),
    setClipboardData: answer('setClipboardData', async ({ data }: { data: string }) => {
      await privacy.allow('剪切板', 'setClipboardData');
      await copy(data);
      // WeChat says it by itself.
      void dialogs.showToast({ title: say('内容已复制', 'Copied') });
      return {};
    }),
    makePhoneCall: answer('makePhoneCall', ({ phoneNumber }: { phoneNumber: string }) => {
      if (!phoneNumber) throw new Error('parameter error: phoneNumber is empty');
      const link = document.createElement('a');
      link.href = `tel:${phoneNumber}`;
      link.click();
      return {};
    }),
    onNeedPrivacyAuthorization: privacy.listen.bind(privacy),
    requirePrivacyAuthorize: answer('requirePrivacyAuthorize', async () => {
      await privacy.require('requirePrivacyAuthorize');
      return {};
    }),
    /** The guideline is in WeChat's console: a browser has none to show. */
    openPrivacyContract: answer('openPrivacyContract', () => ({})),
    getAppBaseInfo: () => ({ language, theme: theme() }),
    /** The app id `browser` tells the app that it goes on in the background. */
    getAccountInfoSync: () => ({ miniProgram: { appId: isLikeWechat ? 'wechat' : 'browser', envVersion: 'release', version: '' } }),
    /** The page talks to the service that it came from. */
    getExtConfigSync: () => ({ server: location.origin }),
    ...(isLikeWechat && LIKE_WECHAT),
    hideShareMenu: answer('hideShareMenu', () => ({})),
    /** A browser always has the newest version. */
    getUpdateManager: () => ({
      onCheckForUpdate: (listener: (result: { hasUpdate: boolean }) => void) => {
        setTimeout(listener, 0, { hasUpdate: false });
      },
      onUpdateReady: () => undefined,
      onUpdateFailed: () => undefined,
      applyUpdate: () => {
        location.reload();
      },
    }),
    env: { USER_DATA_PATH },
    nextTick: (run: () => void) => {
      queueMicrotask(run);
    },
    /** The functions that exist here: a browser has no login by WeChat. */
    canIUse: (name: string) => PARTS.has(name) || Object.hasOwn(wx, name.split('.')[0] ?? ''),
  };
  return wx;
}

/** Pages without https may not use the clipboard's new interface, only the old one. */
async function copy(text: string): Promise<void> {
  // Its type says that it always exists, which is wrong.
  const clipboard = navigator.clipboard as Clipboard | undefined;
  if (clipboard) {
    await clipboard.writeText(text);
    return;
  }
  const field = document.body.appendChild(document.createElement('textarea'));
  field.value = text;
  field.select();
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- the only way without https
  document.execCommand('copy');
  field.remove();
}
