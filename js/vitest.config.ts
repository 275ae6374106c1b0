import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["tests/unit/**/*.test.ts"],
    // The longest takes 2 s alone; what else a machine does is not for tests to fail on.
    testTimeout: 30_000,
  },
});
