import { describe, expect, test } from "vitest";
import { composeTrace } from "../../../../src/figure/trace.js";
import type { Trace, TracedLink } from "../../../../src/protocol/generated.js";
import { themes } from "../../../../src/styles/theme.js";
import { columnsOf } from "../../../../src/views/trace/columns.js";
import { formatChange, labelOf, layoutTrace } from "../../../../src/views/trace/layout.js";
import {
  drawnTrace,
  drawTraceView,
  traceNotes,
  traceWords,
} from "../../../../src/views/trace/view.js";
import { random } from "../../../support/attention-scene.js";
import { RecordingSurface } from "../../../support/recording-surface.js";
import { parseXml } from "../../../support/xml.js";

type Ends = readonly [layer: number, head: number, query: number, key: number];

function link([layer, head, query, key]: Ends, change: number | null, estimate = -0.5): TracedLink {
  return { layer, head, query, key, weight: 0.5, change, estimate };
}

function traceOf(count: number, links: readonly TracedLink[], more: Partial<Trace> = {}): Trace {
  return {
    metric: "log p(“purred”)",
    value: -0.738,
    stream: "decoder",
    labels: Array.from({ length: count }, (_, at) => `w${at}`),
    layers: [0, 1, 2, 3].map((layer) => ({ layer, num_heads: 4 })),
    starts: [count - 1],
    links: [...links],
    together: { traced: -5.6, every: -5.3 },
    ...more,
  };
}

const CAT = link([3, 3, 8, 2], -4.97);
const SHORT = traceOf(9, [
  CAT,
  link([0, 2, 2, 1], -0.76),
  link([3, 2, 8, 2], -0.37),
  link([3, 0, 8, 8], null),
]);

function many(count: number, links: number): Trace {
  const next = random(3);
  const drawn = Array.from({ length: links }, (_, at) => {
    const query = 1 + Math.floor(((next() + 1) / 2) * (count - 2));
    const key = Math.floor(((next() + 1) / 2) * query);
    return link([at % 4, at % 3, query, key], at % 2 ? null : 1 / (1 + at));
  });
  return traceOf(count, drawn);
}

describe("layout", () => {
  test("a link runs from the lower edge of its layer at the key to the upper edge at the query", () => {
    const { paths, rows, columns } = layoutTrace(SHORT, 800, themes.light);
    const x = (position: number) => columns.find((one) => one.position === position)?.x as number;
    const [first, second] = paths;
    expect(first?.from.y).toBe(rows[3]?.bottom);
    expect(first?.to.y).toBe(rows[3]?.top);
    expect(second?.from).toEqual({ x: x(1), y: rows[0]?.bottom });
    expect(second?.to).toEqual({ x: x(2), y: rows[0]?.top });
    // The input is at the bottom, and each layer ends where the next begins.
    expect(rows.slice(1).map(({ bottom }) => bottom)).toEqual(
      rows.slice(0, -1).map(({ top }) => top),
    );
  });

  test("the largest link is the widest, and heads between the same places lie side by side", () => {
    const { paths } = layoutTrace(SHORT, 800, themes.light);
    const [cat, , beside, self] = paths;
    expect(Math.max(...paths.map(({ width }) => width))).toBe(cat?.width);
    const apart = Math.abs((cat?.from.x ?? 0) - (beside?.from.x ?? 0));
    expect(apart).toBeGreaterThan(((cat?.width ?? 0) + (beside?.width ?? 0)) / 2);
    expect(cat?.drop).not.toBe(beside?.drop);
    expect(self?.from.x).toBe(self?.to.x);
    expect(paths.map(({ dashed }) => dashed)).toEqual([false, false, false, true]);
  });

  test("the residual stream of a position ends where it is read last", () => {
    const { stems, rows, columns } = layoutTrace(SHORT, 800, themes.light);
    const top = (position: number) => {
      const x = columns.find((one) => one.position === position)?.x;
      return stems.find((stem) => stem.x === x)?.top;
    };
    expect(top(8)).toBe(rows[3]?.top);
    expect(top(2)).toBe(rows[3]?.bottom);
    expect(top(0)).toBeUndefined();
  });
});

describe("columns", () => {
  test("of a short input all positions are there", () => {
    const { columns, breaks, turned } = columnsOf(SHORT, 0, 800);
    expect(columns.map(({ position }) => position)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
    expect(breaks).toEqual([]);
    expect(turned).toBe(false);
  });

  test("of a long input those that take part, with the number of those between", () => {
    const trace = traceOf(200, [link([3, 1, 199, 42], -2), link([1, 0, 42, 40], -1)]);
    const { columns, breaks } = columnsOf(trace, 0, 800);
    // One position between two that take part takes less room than a break.
    expect(columns.map(({ position }) => position)).toEqual([40, 41, 42, 199]);
    expect(breaks.map(({ first, count, text }) => [first, count, text])).toEqual([
      [0, 40, "40 left out"],
      [43, 156, "156 left out"],
    ]);
    // Without the room for words, the notes say what "+" is.
    expect(columnsOf(trace, 0, 160).breaks.map(({ text }) => text)).toEqual(["+40", "+156"]);
    const xs = [...columns, ...breaks].map(({ x }) => x);
    expect(new Set(xs).size).toBe(xs.length);
    expect(Math.min(...xs)).toBeGreaterThan(0);
    expect(Math.max(...xs)).toBeLessThan(800);
  });

  test.each([20, 60, 150])("labels of %i links at 200 positions do not overlap", (count) => {
    const trace = many(200, count);
    const { columns, breaks, turned } = columnsOf(trace, 50, 750);
    const labelled = columns.filter((one) => one.labelled);
    expect(turned).toBe(true);
    labelled.slice(1).forEach(({ x }, at) => {
      expect(x - (labelled[at]?.x as number)).toBeGreaterThanOrEqual(12);
    });
    // The one that is read, and the largest link's, have theirs.
    const [first] = trace.links;
    const names = labelled.map(({ position }) => position);
    expect(names).toContain(199);
    expect(names).toContain(first?.query);
    const numbers = [...columns, ...breaks].filter((one) => one.numbered).map(({ x }) => x);
    numbers.sort((a, b) => a - b);
    const steps = numbers.slice(1).map((x, at) => x - (numbers[at] as number));
    expect(Math.min(...steps)).toBeGreaterThan(10);
  });

  test("a metric that is read at all positions alike brings none of its own", () => {
    const all = Array.from({ length: 200 }, (_, at) => at);
    const trace = traceOf(200, [link([3, 1, 60, 42], -2)], { starts: all });
    expect(columnsOf(trace, 0, 800).columns.map(({ position }) => position)).toEqual([42, 60]);
  });
});

describe("words", () => {
  test("a label has layer and head and the change; an estimate says so, and a far link how far", () => {
    expect(labelOf(CAT)).toBe("3.3 −5.0");
    expect(labelOf(link([9, 7, 187, 42], 0.123))).toBe("9.7 +0.12 · 145 back");
    expect(labelOf(link([0, 1, 3, 0], null, -0.04))).toBe("0.1 ≈ −0.040");
    expect(labelOf(link([0, 1, 3, 40], -1))).toBe("0.1 −1.0 · 37 ahead");
    expect(formatChange(0)).toBe("0");
  });

  test("the notes say what solid and dashed are only where there are both", () => {
    const layout = layoutTrace(SHORT, 800, themes.light);
    const notes = traceNotes(SHORT, layout).join(" ");
    expect(notes).toContain("Dashed");
    expect(notes).toContain("All 4 cut at once: −5.6; without any link of decoder: −5.3 (106 %).");
    const opposed = traceOf(9, SHORT.links, { together: { traced: 1, every: -4.4 } });
    expect(traceNotes(opposed, layout).join(" ")).toContain(
      "All 4 cut at once: +1.0; without any link of decoder: −4.4.",
    );
    const cut = traceOf(9, [CAT]);
    const fewer = traceNotes(cut, layoutTrace(cut, 800, themes.light)).join(" ");
    expect(fewer).not.toContain("Dashed");
    expect(fewer).toContain("This link cut");
  });

  test("a sentence names the largest link, or says that there is none", () => {
    expect(traceWords(SHORT)).toContain("3.3, “w8” → “w2”: −5.0 without it. 4 links");
    expect(traceWords(traceOf(9, []))).toContain("no link");
  });
});

describe("drawing", () => {
  test("of many links the 30 largest are drawn, and that is said", () => {
    const trace = many(200, 161);
    const drawn = drawnTrace(trace);
    const size = ({ change, estimate }: TracedLink) => Math.abs(change ?? estimate);
    const least = Math.min(...drawn.links.map(size));
    const rest = trace.links.filter((one) => !drawn.links.includes(one));
    expect(drawn.links).toHaveLength(30);
    expect(Math.max(...rest.map(size))).toBeLessThanOrEqual(least);
    const { svg, said } = composeTrace(trace, 860, {});
    expect(svg).toContain("Drawn: the 30 largest of 161 links.");
    expect(said).toContain("161 links are traced.");
    expect(drawnTrace(SHORT)).toBe(SHORT);
  });

  test.each([
    ["short", SHORT, 860],
    ["short and narrow", SHORT, 200],
    ["long", many(200, 60), 860],
    ["without links", traceOf(9, [], { together: null }), 400],
    ["one position", traceOf(1, [link([2, 1, 0, 0], -0.1)]), 300],
  ])("%s: all lies inside, and no number is none", (_, trace, width) => {
    const layout = layoutTrace(trace, width, themes.light);
    const surface = new RecordingSurface(width, layout.height);
    drawTraceView(surface, layout, themes.light);
    expect(surface.broken).toEqual([]);
    for (const { kind, numbers } of surface.calls) {
      if (kind === "line") {
        expect(Math.max(numbers[0] ?? 0, numbers[2] ?? 0)).toBeLessThanOrEqual(width);
        expect(Math.max(numbers[1] ?? 0, numbers[3] ?? 0)).toBeLessThanOrEqual(layout.height);
      }
      if (kind === "text") expect(numbers[1]).toBeLessThan(layout.height);
    }
    expect(surface.texts).toContain("log p(“purred”) = −0.74");
  });

  test.each(["light", "dark", "print"] as const)(
    "%s: the figure is a document of its own",
    (theme) => {
      const hostile = traceOf(9, SHORT.links, { labels: Array(9).fill("<b>&\"'</b>") });
      const { svg, said } = composeTrace(hostile, 860, { theme, title: "<Trace>" });
      expect(() => parseXml(svg)).not.toThrow();
      expect(svg).toContain("&lt;Trace&gt;");
      expect(svg).not.toContain("<b>");
      expect(said).toContain("depends most on 3.3");
    },
  );

  test("a printed width has its unit, and a figure without legend no notes", () => {
    const size = { width: 85, unit: "mm", zoom: 0.667 } as const;
    const { svg } = composeTrace(SHORT, 860, { size, legend: false });
    expect(svg).toContain('width="85mm"');
    expect(svg).not.toContain('id="notes"');
    expect(composeTrace(SHORT, 860, {}).svg).toContain('id="notes"');
  });
});
