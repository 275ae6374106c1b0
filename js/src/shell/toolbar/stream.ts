// Which stream is shown, where there are several.

import { setStream } from "../../state/actions.js";
import type { Control } from "./control.js";
import { list } from "./parts.js";

export const stream: Control = {
  name: "stream",
  group: "where",
  label: "stream",
  rank: () => 80,
  shown: ({ meta }) => meta.streams.length > 1,
  size: ({ meta }) => meta.streams.map(({ name }) => name).join(),
  draw: ({ meta, state }, { change }) =>
    list(
      "Stream",
      state.stream,
      meta.streams.map(({ name }) => ({ value: name, text: name })),
      (name) => change(setStream(meta, state, name)),
      { title: "Which attention is shown" },
    ),
};
