// The console: signing in, and the tabs.

import type { ComponentChildren } from 'preact';
import { useCallback, useEffect, useMemo, useRef, useState } from 'preact/hooks';

import { Api, type Key } from './api';
import { ConsoleContext, inWords, TABS, type Console, type Tab } from './context';
import { Dialog, type Question } from './question';
import { Audit } from './tabs/audit';
import { Conversations } from './tabs/conversations';
import { HeldTab } from './tabs/held';
import { Keys } from './tabs/keys';
import { Overview } from './tabs/overview';
import { People } from './tabs/people';
import { Reports } from './tabs/reports';
import { Webhooks } from './tabs/webhooks';
import { LANGUAGES, type Language, type Words } from './words';

/** Milliseconds that something is said in passing. */
const SAID = 4_000;

interface Session {
  api: Api;
  key: Key;
}

export function App() {
  const [language, setLanguage] = useState<Language>(navigator.language.startsWith('zh') ? 'zh' : 'en');
  const [session, setSession] = useState<Session>();
  const [isRefused, setRefused] = useState(false);
  const words = LANGUAGES[language];
  useEffect(() => {
    document.documentElement.lang = words.lang;
    document.title = words.title;
  }, [words]);
  const turn = (
    <button type="button" class="quiet" lang={language === 'zh' ? 'en' : 'zh-CN'} onClick={() => { setLanguage(language === 'zh' ? 'en' : 'zh'); }}>
      {words.other}
    </button>
  );
  const signIn = async (secret: string) => {
    const api = new Api(secret, () => {
      setSession(undefined);
      setRefused(true);
    });
    const key = await api.get<Key>('/key');
    setRefused(false);
    setSession({ api, key });
  };
  if (session === undefined) return <SignIn words={words} signIn={signIn} isRefused={isRefused} turn={turn} />;
  return <Desk words={words} session={session} turn={turn} signOut={() => { setSession(undefined); }} />;
}

interface SignInProps {
  words: Words;
  signIn: (secret: string) => Promise<void>;
  isRefused: boolean;
  turn: ComponentChildren;
}

function SignIn({ words, signIn, isRefused, turn }: SignInProps) {
  const said = words.signIn;
  const [secret, setSecret] = useState('');
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const submit = (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setError(undefined);
    signIn(secret.trim()).catch((problem: unknown) => {
      setError(problem);
      setBusy(false);
    });
  };
  const wrong = error !== undefined ? inWords(words, error).text : isRefused ? said.refused : undefined;
  return (
    <main class="sign-in">
      <form onSubmit={submit}>
        <h1>{words.title}</h1>
        <label>
          <span>{said.key}</span>
          {/* No browser keeps it: it is no password of a person. */}
          <input
            class="key"
            type="password"
            autocomplete="off"
            spellcheck={false}
            required
            autofocus
            value={secret}
            onInput={(event) => { setSecret(event.currentTarget.value); }}
          />
        </label>
        {wrong !== undefined && <p class="wrong" role="alert">{wrong}</p>}
        <button type="submit" class="main" disabled={isBusy}>{said.enter}</button>
        <p class="note">{said.hint}</p>
        {turn}
      </form>
    </main>
  );
}

interface DeskProps {
  words: Words;
  session: Session;
  turn: ComponentChildren;
  signOut: () => void;
}

function Desk({ words, session, turn, signOut }: DeskProps) {
  const [place, setPlace] = useState<{ tab: Tab; at?: number; visit: number }>({ tab: 'overview', visit: 0 });
  const [said, setSaid] = useState<string>();
  const [asked, setAsked] = useState<{ question: Question; answer: (values?: Record<string, string>) => void }>();
  const main = useRef<HTMLElement>(null);
  const visit = (tab: Tab, at?: number) => {
    setPlace((before) => ({ tab, ...(at !== undefined && { at }), visit: before.visit + 1 }));
  };
  useEffect(() => {
    if (said === undefined) return undefined;
    const timer = setTimeout(() => { setSaid(undefined); }, SAID);
    return () => { clearTimeout(timer); };
  }, [said]);
  const ask = useCallback(
    (question: Question) =>
      new Promise<Record<string, string> | undefined>((resolve) => {
        const answer = (values?: Record<string, string>) => {
          setAsked(undefined);
          resolve(values);
        };
        setAsked({ question, answer });
      }),
    [],
  );
  const console = useMemo<Console>(() => {
    const open: Console['open'] = (tab, id) => {
      visit(tab, id);
      main.current?.focus();
    };
    return { words, api: session.api, key: session.key, tell: setSaid, ask, open, signOut };
  }, [words, session]);
  return (
    <ConsoleContext.Provider value={console}>
      <header>
        <strong>{words.title}</strong>
        <span class="who">{session.key.name}</span>
        {turn}
        <button type="button" class="quiet" onClick={signOut}>{words.signIn.out}</button>
      </header>
      <nav aria-label={words.title}>
        {TABS.map((tab) => (
          <button key={tab} type="button" aria-current={tab === place.tab ? 'page' : undefined} onClick={() => { visit(tab); }}>
            {words.tabs[tab]}
          </button>
        ))}
      </nav>
      <main ref={main} tabIndex={-1}>
        <Shown key={place.visit} tab={place.tab} at={place.at} />
      </main>
      <p class="said-once" role="status">{said}</p>
      {asked !== undefined && <Dialog words={words} question={asked.question} answer={asked.answer} />}
    </ConsoleContext.Provider>
  );
}

function Shown({ tab, at }: { tab: Tab; at: number | undefined }) {
  switch (tab) {
    case 'overview':
      return <Overview />;
    case 'held':
      return <HeldTab />;
    case 'reports':
      return <Reports />;
    case 'people':
      return <People at={at} />;
    case 'conversations':
      return <Conversations at={at} />;
    case 'webhooks':
      return <Webhooks />;
    case 'keys':
      return <Keys />;
    case 'audit':
      return <Audit />;
  }
}
