// WeChat's questions whether the user agrees to the privacy guideline. WeChat keeps one listener, so the app has one,
// which asks on the page that is shown.

type Decide = (decision: { event: 'agree' | 'disagree'; buttonId?: string }) => void;

/** Draws the question, or no longer. */
export type Draw = (isAsking: boolean) => void;

/** WeChat's questions that have no answer yet. */
let questions: Decide[] = [];

/** That of the page that is shown. */
let current: Draw | null = null;

let isListening = false;

function listen(): void {
  if (isListening || !wx.canIUse('onNeedPrivacyAuthorization')) return;
  isListening = true;
  const ask = (decide: Decide) => {
    questions.push(decide);
    if (current) current(true);
    // Nobody can be asked on this page.
    else answer({ event: 'disagree' });
  };
  // The type of the function's argument is wrong in the typings.
  wx.onNeedPrivacyAuthorization(ask as unknown as WechatMiniprogram.OnNeedPrivacyAuthorizationCallback);
}

/** Answers all open questions. */
export const answer: Decide = (decision) => {
  const open = questions;
  questions = [];
  for (const decide of open) decide(decision);
  current?.(false);
};

/** The page of this gate is shown. */
export function enter(draw: Draw): void {
  listen();
  current = draw;
}

/** The page of this gate is shown no more: leaving is no agreement. */
export function leave(draw: Draw): void {
  if (current !== draw) return;
  answer({ event: 'disagree' });
  current = null;
}
