// Signs two people in, so that both exist, and shows their phones, each at the chat with the other.

const PEOPLE = [
  { phone: 'zhang', name: '张三' },
  { phone: 'li', name: '李四' },
] as const;

async function userId(name: string): Promise<number> {
  const response = await fetch('/v1/login/demo', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name }),
  });
  if (!response.ok) throw new Error(`the demo login answered ${String(response.status)}`);
  const { token, user } = (await response.json()) as { token: string; user: { id: number } };
  await fetch('/v1/logout', { method: 'POST', headers: { authorization: `Bearer ${token}` } });
  return user.id;
}

async function show(): Promise<void> {
  const [zhang, li] = [await userId(PEOPLE[0].name), await userId(PEOPLE[1].name)];
  for (const [{ phone, name }, peer] of [
    [PEOPLE[0], li],
    [PEOPLE[1], zhang],
  ] as const) {
    const frame = document.querySelector<HTMLIFrameElement>(`iframe[data-phone="${phone}"]`);
    const page = `pages/sign-in/sign-in?name=${encodeURIComponent(name)}&peer=${String(peer)}`;
    if (frame) frame.src = `/?phone=${phone}#/${page}`;
  }
}

show().catch(() => {
  const message = document.getElementById('message');
  if (message) message.textContent = '演示登录没有打开。 The demo login is off.';
});
