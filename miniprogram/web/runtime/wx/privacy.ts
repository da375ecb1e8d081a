// The privacy gate: what the guideline in WeChat's console does not name fails, and the rest waits for the user.

/** What a function or component touches, in the console's words. */
export type Scope =
  | '剪切板'
  | '头像'
  | '昵称'
  | '选中的照片或视频信息'
  | '摄像头'
  | '麦克风'
  | '选中的文件'
  | '相册（仅写入）';

/** The scopes that the release list in `README.md` has declared. */
export const DECLARED: readonly Scope[] = [
  '头像',
  '昵称',
  '剪切板',
  '选中的照片或视频信息',
  '摄像头',
  '麦克风',
  '选中的文件',
  '相册（仅写入）',
];

interface Decision {
  event: 'exposureAuthorization' | 'agree' | 'disagree';
  buttonId?: string;
}

type Listener = (decide: (decision: Decision) => void, about: { referrer: string }) => void;

export class Privacy {
  private listener: Listener | undefined;
  /** The ids of the agreement buttons that were tapped. */
  private readonly tapped = new Set<string>();

  constructor(
    private readonly declared: readonly Scope[],
    private hasAgreed: boolean,
  ) {}

  /** Only the last listener is asked. */
  listen(listener: Listener): void {
    this.listener = listener;
  }

  /** An agreement button was tapped. */
  tap(buttonId: string): void {
    this.tapped.add(buttonId);
    // Without an open question the tap alone is the agreement.
    this.hasAgreed ||= this.listener === undefined;
  }

  /** Resolves when the user has agreed. */
  async require(referrer: string): Promise<void> {
    if (this.hasAgreed) return;
    const { listener } = this;
    // WeChat shows a dialog of its own, which nobody answers here.
    if (!listener) throw new Error('privacy permission is not authorized');
    await new Promise<void>((resolve, reject) => {
      const decide = ({ event, buttonId = '' }: Decision) => {
        if (event === 'exposureAuthorization') return;
        if (event === 'agree' && this.tapped.has(buttonId)) {
          this.hasAgreed = true;
          resolve();
        } else reject(new Error('privacy permission is not authorized'));
      };
      listener(decide, { referrer });
    });
  }

  /** Resolves when this may be used. */
  async allow(scope: Scope, referrer: string): Promise<void> {
    if (!this.declared.includes(scope)) {
      throw new Error('api scope is not declared in the privacy agreement');
    }
    await this.require(referrer);
  }
}
