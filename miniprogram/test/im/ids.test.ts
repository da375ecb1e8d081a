// Ids are integers from 1 to 2^53-1, or their digits.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { toUserId } from '../../miniprogram/imkit/core/keys';

test('an id is an integer from 1 to 2^53-1, or its digits', () => {
  assert.equal(toUserId(1), 1);
  assert.equal(toUserId(2 ** 53 - 1), 2 ** 53 - 1);
  assert.equal(toUserId('1000000'), 1_000_000);
  for (const no of [0, -1, 1.5, 2 ** 53, Number.NaN, '', '0', '01', '1e3', ' 1', null, undefined, {}]) {
    assert.equal(toUserId(no), null);
  }
});
