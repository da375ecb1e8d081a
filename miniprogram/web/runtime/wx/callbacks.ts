// Functions of `wx` answer by callbacks, or by a promise if there are none.

export interface Options {
  success?: (result: object) => void;
  fail?: (error: object) => void;
  complete?: (result: object) => void;
}

/** A failure with a number, as some functions have them. */
export class Refusal extends Error {
  constructor(
    message: string,
    readonly errCode: number,
  ) {
    super(message);
  }
}

type Async<Given, Result> = (options?: Given & Options) => Promise<Result & { errMsg: string }> | undefined;

/** Makes a function of `wx` from one that returns its result or throws. */
export function answer<Given extends object, Result extends object>(
  name: string,
  run: (given: Given) => Result | Promise<Result>,
): Async<Given, Result> {
  return (options = {} as Given & Options) => {
    const { success, fail, complete } = options;
    const result = Promise.resolve()
      .then(() => run(options))
      .then((value) => ({ ...value, errMsg: `${name}:ok` }));
    const failed = (error: unknown) => ({
      errMsg: `${name}:fail ${error instanceof Error ? error.message : String(error)}`,
      ...(error instanceof Refusal && { errCode: error.errCode }),
    });
    if (!success && !fail && !complete) {
      return result.catch((error: unknown) => {
        // The caller reads `errMsg`.
        throw Object.assign(new Error(failed(error).errMsg), failed(error));
      });
    }
    void result.then(
      (value) => {
        success?.(value);
        complete?.(value);
      },
      (error: unknown) => {
        fail?.(failed(error));
        complete?.(failed(error));
      },
    );
    return undefined;
  };
}
