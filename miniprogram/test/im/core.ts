// The client core under test: its source, or with IM_CORE the bundle of that name, which has to do the same.

import { pathToFileURL } from 'node:url';

import type * as source from '../../miniprogram/imkit/core/index';

const named = process.env['IM_CORE'];

export const core = (
  named === undefined ? await import('../../miniprogram/imkit/core/index') : await import(pathToFileURL(named).href)
) as typeof source;
