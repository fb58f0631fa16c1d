// Run with: node --test
import assert from "node:assert";
import test from "node:test";

import { answer } from "./@NAME@.mjs";

test("answers in capitals", () => {
  assert.strictEqual(answer("all well?"), "hello ALL WELL?");
});
