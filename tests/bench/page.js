// Runs in the page before JupyterLab does: counts what travels, times what is drawn.
(() => {
  const count = { received: 0, sent: 0 };
  const size = (data) => (typeof data === "string" ? data.length : (data.byteLength ?? data.size));
  window.WebSocket = class extends window.WebSocket {
    constructor(...rest) {
      super(...rest);
      this.addEventListener("message", (event) => {
        count.received += size(event.data);
      });
    }
    send(data) {
      count.sent += 1;
      super.send(data);
    }
  };

  const frame = () => new Promise(requestAnimationFrame);

  /** Runs as the first task after the frame in progress has been laid out and painted. */
  const afterPaint = (act) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = act;
    port2.postMessage(null);
  };
  const painted = () =>
    new Promise((resolve) => {
      afterPaint(() => resolve(performance.now()));
    });

  let giveUp = 240_000;

  /** Whether something is painted on a canvas. */
  const painted2d = (canvas) => {
    if (canvas.width * canvas.height === 0) return false;
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    return data.some((value) => value !== 0);
  };

  const everyFrame = async (done) => {
    const stop = performance.now() + giveUp;
    while (!done()) {
      if (performance.now() > stop) throw new Error("nothing was drawn in time");
      await frame();
    }
  };

  /**
   * Each subject: is the whole picture of a cell there, and when does that become true? Watching
   * every node that BertViz inserts would slow it down, so it is asked once a frame; ours is asked
   * when it says that it has drawn. Either way the answer comes before that frame is painted.
   */
  const subjects = {
    bertviz: {
      // Both of its views are drawn in one go, so the first line is there when all of them are.
      ready: (output) => output.querySelector("#vis svg line") !== null,
      until: everyFrame,
      layers: (output) => output.querySelector("#layer"),
    },
    circuitsvis: {
      // One canvas for each head and one for the head that is chosen, each filled when it can be.
      ready: (output) => {
        const canvases = [...output.querySelectorAll("[id^='circuits-vis'] canvas")];
        return canvases.length > 1 && canvases.every(painted2d);
      },
      until: everyFrame,
    },
    attnwidget: {
      ready: (output) => {
        const root = output.querySelector(".attnwidget");
        return Number(root?.dataset.painted ?? 0) > 0 && root.dataset.pending === "0";
      },
      until: (done) =>
        new Promise((resolve, reject) => {
          const check = () => {
            if (!done()) return;
            observer.disconnect();
            resolve();
          };
          const observer = new MutationObserver(check);
          const attributeFilter = ["data-painted", "data-pending"];
          observer.observe(document.body, { attributeFilter, subtree: true });
          setTimeout(() => reject(new Error("nothing was drawn in time")), giveUp);
        }),
      layers: (output) => output.querySelector("select[aria-label='Layer']"),
    },
  };

  const cell = (id, index) => {
    const panel = [...jupyterapp.shell.widgets("main")].find((widget) => widget.id === id);
    return { panel, widget: panel.content.widgets[index] };
  };

  // The first frame it draws, whatever is still to come.
  subjects.attnwidget_first = {
    ...subjects.attnwidget,
    ready: (output) => Number(output.querySelector(".attnwidget")?.dataset.painted ?? 0) > 0,
  };

  window.bench = {
    /** Payload of all messages to this page so far. */
    received: () => count.received,

    /** Run a cell: milliseconds until its whole picture is painted, and the bytes it took. */
    async open([id, index, name, limit]) {
      giveUp = limit ?? giveUp;
      const { panel, widget } = cell(id, index);
      const { ready, until } = subjects[name];
      jupyterapp.shell.activateById(id);
      panel.content.activeCellIndex = index;
      panel.content.deselectAll();
      await frame();
      const before = count.received;
      const start = performance.now();
      const run = jupyterapp.commands.execute("notebook:run-cell");
      await until(() => ready(widget.node));
      const milliseconds = (await painted()) - start;
      const bytes = count.received - before;
      await run;
      return { milliseconds, bytes, before };
    },

    /** Milliseconds from the page's beginning until the whole picture of a page without a notebook is painted. */
    async drawn([name, limit]) {
      giveUp = limit;
      const { ready, until } = subjects[name];
      await until(() => ready(document));
      return painted();
    },

    /** Choose a layer in the menu: milliseconds until all of it is painted, and the bytes. */
    async layer([id, index, name, layer]) {
      const output = cell(id, index).widget.node;
      const { ready, until, layers } = subjects[name];
      const menu = layers(output);
      const root = output.querySelector(".attnwidget");
      const drawn = root?.dataset.painted;
      const before = count.received;
      const start = performance.now();
      menu.value = String(layer);
      menu.dispatchEvent(new Event("change", { bubbles: true }));
      if (root) await until(() => root.dataset.painted !== drawn && ready(output));
      else await frame();
      return { milliseconds: (await painted()) - start, bytes: count.received - before };
    },

    /** From now on, collect the milliseconds from each mouse move to the frame that shows it. */
    watchHover([id, index]) {
      const output = cell(id, index).widget.node;
      const root = output.querySelector(".attnwidget");
      const samples = [];
      const sent = count.sent;
      let moved = null;
      const record = (since) => afterPaint(() => samples.push(performance.now() - since));
      const stop = new AbortController();
      const { signal } = stop;
      const onMove = (event) => {
        if (root) moved ??= event.timeStamp;
        else requestAnimationFrame(() => record(event.timeStamp));
      };
      output.addEventListener("mousemove", onMove, { capture: true, signal });
      const observer = new MutationObserver(() => {
        if (moved !== null) record(moved);
        moved = null;
      });
      if (root) observer.observe(root, { attributeFilter: ["data-painted"] });
      window.bench.hovered = () => {
        stop.abort();
        observer.disconnect();
        return { samples, messages: count.sent - sent };
      };
    },

    /** Elements in a cell's output, and characters it adds to the saved notebook. */
    weigh([id, index]) {
      const { widget } = cell(id, index);
      return {
        nodes: widget.node.querySelector(".jp-Cell-outputWrapper").querySelectorAll("*").length,
        saved: JSON.stringify(widget.model.outputs.toJSON()).length,
      };
    },

    /** Whether some canvas of the cell holds more than one colour. */
    inked([id, index]) {
      const canvases = cell(id, index).widget.node.querySelectorAll("canvas");
      return [...canvases].every((canvas) => {
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        return new Set(new Uint32Array(data.buffer)).size > 1;
      });
    },
  };
})();
