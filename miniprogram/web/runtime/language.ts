// The language of what WeChat itself says.

export const isChinese = navigator.language.startsWith('zh');

/** The words in the user's language. */
export function say(chinese: string, english: string): string {
  return isChinese ? chinese : english;
}
