import { expect, test } from "vitest";
import type { Scene } from "../../../src/scene/scene.js";
import { SvgSurface } from "../../../src/surface/svg.js";
import { printable } from "../../../src/surface/text.js";
import { compareView } from "../../../src/views/compare/view.js";
import { headView } from "../../../src/views/head/view.js";
import type { View } from "../../../src/views/view.js";
import { attentionScene } from "../../support/attention-scene.js";
import { type Element, elementsOf, ownText, parseXml } from "../../support/xml.js";

const HOSTILE = [
  "</script><img onerror=alert(1)>",
  "]]>",
  "<!--",
  "\"quoted\" & 'single'",
  "&amp;",
  "nul\u0000bell\u0007",
  "\u202eright to left",
  "\ud800 alone",
  "url(http://example.org/x)",
];

const surface = () => new SvgSurface({ width: 300, height: 200 });
const style = { fill: "#123456", size: 12 };

function all(svg: string) {
  return [...elementsOf(parseXml(svg))];
}

function drawn(view: View, scene: Scene): string {
  const target = new SvgSurface({ width: 460, height: 400, scale: 2 });
  view.draw(target, scene, { width: 460, height: 400, scroll: 0 });
  return target.finish({ title: "a figure", background: "#ffffff" });
}

test.each(HOSTILE)("text stays text: %j", (text) => {
  const target = surface();
  target.group(text, () => target.text(10, 20, text, style));
  const elements = all(target.finish({ title: text }));
  const words = elements.filter(({ name }) => name === "text").map(ownText);
  expect(words).toEqual([printable(text)]);
  expect(new Set(elements.map(({ name }) => name))).toEqual(new Set(["svg", "title", "g", "text"]));
});

test("cut text keeps the whole of it as its title", () => {
  const target = surface();
  target.text(10, 20, "a label that is <far> too long", { ...style, maxWidth: 60 });
  const [text] = all(target.finish()).filter(({ name }) => name === "text");
  expect(ownText(text as Element)).toBe("a label t…");
  const title = all(target.finish()).find(({ name }) => name === "title");
  expect(ownText(title as Element)).toBe("a label that is <far> too long");
});

test("text that has a width is drawn as wide, whatever font there is", () => {
  const target = surface();
  target.text(10, 20, "unbelievable", { ...style, fit: 71.25 });
  expect(target.finish()).toContain('textLength="71.25" lengthAdjust="spacingAndGlyphs"');
});

test("group ids are readable and unique, whatever the names", () => {
  const target = surface();
  for (const name of ["head 3", "head 3", "head/3", "3", "", "猫"]) target.group(name, () => {});
  const ids = all(target.finish()).flatMap(({ attributes }) => attributes.get("id") ?? []);
  expect(ids.slice(0, 2)).toEqual(["head-3", "head-3-2"]);
  expect(new Set(ids).size).toBe(6);
  for (const id of ids) expect(id).toMatch(/^[A-Za-z][\w.-]*$/);
});

test("a clip is given in the outer coordinates and read in the moved ones", () => {
  const target = surface();
  target.group("moved", () => {}, { clip: { x: 10, y: 20, width: 30, height: 40 }, x: 7, y: 5 });
  const elements = all(target.finish());
  const group = elements.find(({ name }) => name === "g");
  const clip = elements.find(({ name }) => name === "clipPath");
  expect(group?.attributes.get("clip-path")).toBe(`url(#${clip?.attributes.get("id")})`);
  const rect = elements[elements.indexOf(clip as Element) + 1];
  const numbers = ["x", "y", "width", "height"].map((a) => Number(rect?.attributes.get(a)));
  expect(numbers).toEqual([3, 15, 30, 40]);
});

test("numbers have two decimals, and what is no number is not drawn", () => {
  const target = surface();
  target.line(0.123456, 1 / 3, -0.0001, 10, { stroke: "#000000" });
  target.rect({ x: Number.NaN, y: 0, width: 1, height: 1 }, { fill: "#000000" });
  target.circle(0, Number.POSITIVE_INFINITY, 1, { fill: "#000000" });
  target.path(
    [
      ["M", 0, 0],
      ["L", Number.NaN, 1],
    ],
    { stroke: "#000000" },
  );
  target.text(0, Number.NaN, "nowhere", style);
  const elements = all(target.finish());
  expect(elements.map(({ name }) => name)).toEqual(["svg", "line"]);
  const { attributes } = elements[1] as (typeof elements)[number];
  expect(["x1", "y1", "x2", "y2"].map((a) => attributes.get(a))).toEqual([
    "0.12",
    "0.33",
    "0",
    "10",
  ]);
});

const scenes: [string, View, Parameters<typeof attentionScene>[0]][] = [
  ["head, lines", headView, { state: { heads: [0, 2], query: 3 } }],
  ["head, many lines", headView, { numHeads: 8, state: { heads: [0, 1, 2, 3, 4, 5, 6, 7] } }],
  ["head, matrix", headView, { state: { heads: [0, 1], form: "matrix", key: 2 } }],
  [
    "compare, lines",
    compareView,
    {
      state: {
        compare: [
          [0, 1],
          [1, 2],
          [1, 0],
        ],
      },
    },
  ],
  [
    "compare, matrix",
    compareView,
    {
      state: {
        compare: [
          [0, 1],
          [1, 2],
        ],
        form: "matrix",
      },
    },
  ],
];

test.each(scenes)("a figure of hostile tokens is well-formed and alone: %s", (_, view, given) => {
  const scene = attentionScene({ queries: HOSTILE, keys: [...HOSTILE, "an", "end"], ...given });
  const elements = all(drawn(view, scene));
  const names = new Set(elements.map(({ name }) => name));
  for (const name of names) {
    expect("svg title defs clipPath rect g text line path circle image").toContain(name);
  }
  const ids = elements.flatMap(({ attributes }) => attributes.get("id") ?? []);
  expect(new Set(ids).size).toBe(ids.length);
  for (const { attributes } of elements) {
    for (const [name, value] of attributes) {
      expect(name).not.toMatch(/^on|^href$/);
      if (name === "xlink:href") expect(value).toMatch(/^data:image\/png;base64,[A-Za-z0-9+/=]+$/);
      else if (/url\(/.test(value)) expect(ids).toContain(/^url\(#(.+)\)$/.exec(value)?.[1]);
      expect(value).not.toMatch(/NaN|Infinity|undefined/);
    }
  }
  const texts = elements.filter(({ name }) => name === "text").map(ownText);
  expect(texts.some((text) => text.startsWith("]]>"))).toBe(true);
});

test("the same scene gives the same figure", () => {
  const scene = attentionScene({ state: { heads: [0, 1, 2], query: 4 } });
  expect(drawn(headView, scene)).toBe(drawn(headView, scene));
});
