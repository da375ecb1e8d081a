// A question before something is done, with fields where more must be known.

import { useEffect, useRef, useState } from 'preact/hooks';

import type { Words } from './words';

export interface Field {
  name: string;
  label: string;
  /** Text if nothing is said. `boxes` are ticked; the value is what is ticked, with commas between them. */
  kind?: 'text' | 'time' | 'choice' | 'boxes';
  options?: readonly (readonly [value: string, label: string])[];
  max?: number;
  required?: boolean;
  /** The only value with which one may go on, and what is said of others. */
  must?: readonly [value: string, otherwise: string];
}

export interface Question {
  title: string;
  text?: string;
  /** What is on the button that does it. */
  yes: string;
  /** Whether it takes something away. */
  isGrave?: boolean;
  fields?: Field[];
  /** What is wrong with the values, if something is. */
  check?: (values: Record<string, string>) => string | undefined;
}

interface Props {
  words: Words;
  question: Question;
  answer: (values: Record<string, string> | undefined) => void;
}

export function Dialog({ words, question, answer }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [values, setValues] = useState<Record<string, string>>(() => initial(question.fields ?? []));
  const [wrong, setWrong] = useState<string>();
  useEffect(() => {
    dialog.current?.showModal();
  }, []);
  // Closed first: so the focus goes back to where it was.
  const finish = (given: Record<string, string> | undefined) => {
    dialog.current?.close();
    answer(given);
  };
  const submit = (event: Event) => {
    event.preventDefault();
    const field = question.fields?.find(({ name, must }) => must !== undefined && values[name]?.trim() !== must[0]);
    const problem = field?.must?.[1] ?? question.check?.(values);
    if (problem === undefined) finish(values);
    else setWrong(problem);
  };
  const set = (name: string, value: string) => {
    setWrong(undefined);
    setValues((before) => ({ ...before, [name]: value }));
  };
  return (
    <dialog
      ref={dialog}
      aria-labelledby="question"
      onCancel={(event) => {
        event.preventDefault();
        finish(undefined);
      }}
    >
      <form onSubmit={submit}>
        <h2 id="question">{question.title}</h2>
        {question.text !== undefined && <p>{question.text}</p>}
        {question.fields?.map((field) => (
          <Input key={field.name} field={field} value={values[field.name] ?? ''} set={(value) => { set(field.name, value); }} />
        ))}
        {wrong !== undefined && <p class="wrong" role="alert">{wrong}</p>}
        <div class="buttons">
          <button type="button" onClick={() => { finish(undefined); }}>{words.cancel}</button>
          <button type="submit" class={question.isGrave ? 'grave' : 'main'}>{question.yes}</button>
        </div>
      </form>
    </dialog>
  );
}

function initial(fields: Field[]): Record<string, string> {
  return Object.fromEntries(
    fields.map(({ name, kind, options }) => [name, kind === 'choice' ? (options?.[0]?.[0] ?? '') : '']),
  );
}

function Input({ field, value, set }: { field: Field; value: string; set: (value: string) => void }) {
  const { name, label, kind = 'text', options = [] } = field;
  if (kind === 'boxes') {
    const ticked = value === '' ? [] : value.split(',');
    const tick = (option: string, isOn: boolean) => {
      const others = ticked.filter((other) => other !== option);
      set((isOn ? [...others, option] : others).join(','));
    };
    return (
      <fieldset>
        <legend>{label}</legend>
        {options.map(([option, text]) => (
          <label key={option} class="box">
            <input
              type="checkbox"
              name={`${name}-${option}`}
              checked={ticked.includes(option)}
              onChange={(event) => { tick(option, event.currentTarget.checked); }}
            />
            {text}
          </label>
        ))}
      </fieldset>
    );
  }
  if (kind === 'choice') {
    return (
      <label>
        <span>{label}</span>
        <select name={name} value={value} onChange={(event) => { set(event.currentTarget.value); }}>
          {options.map(([option, text]) => <option key={option} value={option}>{text}</option>)}
        </select>
      </label>
    );
  }
  const given = {
    name,
    value,
    required: field.required ?? false,
    autocomplete: 'off',
    onInput: (event: { currentTarget: HTMLInputElement }) => { set(event.currentTarget.value); },
  };
  return (
    <label>
      <span>{label}</span>
      {kind === 'time' ? <input type="datetime-local" {...given} /> : <input type="text" maxLength={field.max} {...given} />}
    </label>
  );
}
