// Three people make a group, and use all that its page has, until one leaves.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { eventually, type Phone } from './phone';
import { world } from './world';

const { phone } = await world();

async function three(): Promise<Record<'zhang' | 'li' | 'wang', Phone>> {
  const [zhang, li, wang] = [await phone(), await phone(), await phone()];
  await zhang.signIn('张三');
  await li.signIn('李四');
  await wang.signIn('王五');
  return { zhang, li, wang };
}

/** The title bar says this. */
async function titled(of: Phone, title: string): Promise<void> {
  await of.screen.locator('.mp-nav h1', { hasText: title }).waitFor();
}

const line = (of: Phone, text: string) => of.screen.locator('.row', { hasText: text }).last().waitFor();
const tile = (of: Phone, name: string) => of.screen.locator('im-group .tile', { hasText: name });
const setting = (of: Phone, name: string) => of.screen.locator('im-group .row', { hasText: name });
const yes = (of: Phone) => of.page.locator('.mp-modal .mp-confirm').click();

test('a group from making to leaving', async () => {
  const { zhang, li, wang } = await three();
  await zhang.makeGroup('李四', '王五');
  await zhang.send('周末去爬山吗？');

  // Names are above the bubbles of others, and a tap on a picture opens the profile.
  await li.row('群聊(3)').locator('.preview', { hasText: '张三: 周末去爬山吗？' }).waitFor();
  await li.row('群聊(3)').click();
  await li.sees('周末去爬山吗？');
  assert.equal(await li.bubble('周末去爬山吗？').locator('.who').textContent(), '张三');
  await li.bubble('周末去爬山吗？').locator('avatar').click();
  await li.screen.locator('im-profile .title', { hasText: '张三' }).waitFor();
  await li.shoot('profile');
  await li.screen.locator('.share').click();
  await li.toasted('内容已复制');
  assert.match(await li.page.evaluate(() => navigator.clipboard.readText()), /^和张三聊天 http.*#pages\/chat\/chat\?peer=\d+$/);
  await li.back();

  // The title is for the owner and admins.
  await li.screen.locator('.info').click();
  await titled(li, '聊天信息(3)');
  await setting(li, '群聊名称').click();
  await li.toasted('只有群主或管理员可以修改');
  await zhang.screen.locator('.info').click();
  await titled(zhang, '聊天信息(3)');
  await setting(zhang, '群聊名称').click();
  await zhang.page.locator('.mp-modal input').fill('周末爬山');
  await yes(zhang);
  await setting(zhang, '周末爬山').waitFor();
  await setting(li, '周末爬山').waitFor();
  await wang.row('周末爬山').waitFor();

  // An admin may remove people.
  await tile(zhang, '王五').waitFor();
  await zhang.shoot('group-info');
  await setting(zhang, '群管理').click();
  await zhang.page.locator('.mp-sheet button', { hasText: '管理员' }).click();
  await tile(zhang, '李四').click();
  await tile(zhang, '李四').locator('.rank', { hasText: '管理员' }).waitFor();
  await zhang.screen.locator('.mode-done').click();
  await tile(li, '移出').click();
  assert.equal(await tile(li, '张三').locator('.minus').count(), 0, 'nobody removes the owner');
  await li.shoot('group-remove');
  await tile(li, '王五').click();
  await yes(li);
  await tile(li, '王五').waitFor({ state: 'detached' });
  await li.screen.locator('.mode-done').click();
  await wang.row('周末爬山').waitFor({ state: 'detached' });

  // Somebody is added again, and who is there cannot be chosen.
  await tile(zhang, '王五').waitFor({ state: 'detached' });
  await tile(zhang, '添加').click();
  await titled(zhang, '选择联系人');
  await zhang.screen.locator('im-people-picker input').fill('李四');
  await zhang.screen.locator('im-people-picker .taken').waitFor();
  await zhang.shoot('pick');
  await zhang.pick('王五');
  await tile(zhang, '王五').waitFor();
  await wang.row('周末爬山').waitFor();

  // The owner hands the group over, and leaves.
  await setting(zhang, '群管理').click();
  await zhang.page.locator('.mp-sheet button', { hasText: '转让群主' }).click();
  await tile(zhang, '李四').click();
  await yes(zhang);
  await tile(zhang, '李四').locator('.rank', { hasText: '群主' }).waitFor();
  await setting(li, '群管理').waitFor();
  await setting(zhang, '退出群聊').click();
  await yes(zhang);
  await titled(zhang, '聊天');
  await eventually('zhang has no group', async () => (await zhang.row('周末爬山').count()) === 0);
  await li.back();
  await line(li, '张三');
  await titled(li, '周末爬山');
  for (const each of [zhang, li, wang]) each.assertQuiet();
});

test('a group is pinned and muted, its history cleared, and a member reported', async () => {
  const { zhang, li } = await three();
  await zhang.screen.locator('.start').click();
  await zhang.screen.locator('.row', { hasText: '发起群聊' }).click();
  await zhang.pick('李四', '王五');
  await zhang.send('第一句');
  await li.row('第一句').click();
  await li.screen.locator('.info').click();
  await setting(li, '置顶聊天').locator('wx-switch').click();
  await setting(li, '消息免打扰').locator('wx-switch').click();
  await setting(li, '清空聊天记录').click();
  await yes(li);
  await li.toasted('已清空');
  await setting(li, '举报').click();
  await tile(li, '张三').click();
  await li.page.locator('.mp-sheet button', { hasText: '发布垃圾广告' }).click();
  await yes(li);
  await li.toasted('举报已提交，我们会尽快处理');
  await li.back();
  await li.screen.locator('.top-text', { hasText: '打个招呼吧' }).waitFor();
  await li.back();
  const row = li.screen.locator('.row.pinned');
  await row.locator('.mute').waitFor();
  await zhang.send('第二句');
  await row.locator('.preview', { hasText: '第二句' }).waitFor();
  await row.locator('.small').waitFor();
  assert.equal(await row.locator('.small').textContent(), '', 'a dot has no number');
  assert.equal(await li.page.locator('.mp-tabs b:not(:empty)').count(), 0, 'muted chats are not in the total');
  li.assertQuiet();
});
