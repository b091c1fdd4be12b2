import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bestLanguage } from '../messages.js';

test('the first known language is chosen, and no property of objects is one', () => {
  for (const [tags, want] of [
    [['fr', 'de-AT', 'en'], 'de-AT'],
    [[null, undefined, '', 'EN-gb'], 'EN-gb'],
    [['constructor', '__proto__', 'toString-DE', 'hasOwnProperty', 'de'], 'de'],
    [['fr', 'constructor'], undefined],
  ]) assert.equal(bestLanguage(...tags), want, tags.join());
});
