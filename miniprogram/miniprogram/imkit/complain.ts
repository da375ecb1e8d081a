// Reports a person or a chat to those who run the service.

import { attempt, choose, prompt, tell } from './ask';
import type { ChatId, Complaint, ImClient, UserId } from './core/index';
import { texts } from './texts/index';

/** Maximum characters of the user's own words; 😀 is one. */
const MAX_DETAIL = 500;

/** Asks for the reason, and reports. */
export async function complain(client: ImClient, about: { chatId: ChatId } | { reportedUserId: UserId }): Promise<void> {
  const { report: say } = texts();
  const reasons = Object.keys(say.reasons) as Complaint['reason'][];
  const chosen = await choose(reasons.map((reason) => say.reasons[reason]));
  const reason = chosen === null ? undefined : reasons[chosen];
  if (!reason) return;
  const words = await prompt(say.reasons[reason], '', say.prompt);
  if (words === null) return;
  const detail = words.trim();
  if (Array.from(detail).length > MAX_DETAIL) {
    tell(say.tooLong);
    return;
  }
  if (await attempt(client.report({ ...about, reason, ...(detail && { detail }) }))) tell(say.sent);
}
