// The frame of every chart: a title, the same numbers as a table, and the files. What a chart says to eyes its table
// says to everyone, and its CSV to a script.

import type { ComponentChildren } from "preact";
import { useRef, useState } from "preact/hooks";
import { useListed } from "../../app/param";
import { Wire } from "../../text/Wire";
import { type CellValue, fileName, saveCsv, savePng, saveSvg, saveText } from "../download";
import { Popover } from "../Popover";
import { toast } from "../toast";

/** The numbers of a chart. */
export interface Twin {
  columns: readonly string[];
  rows: readonly (readonly CellValue[])[];
}

interface Props {
  title: string;
  /** Its name in the address, where the title changes with what is shown: a chart whose steps get shorter stays the same chart. */
  id?: string;
  /** Said to who cannot see it: what it shows, in a sentence. */
  summary: string;
  twin: Twin;
  /** The drawing: exactly one `svg` or `canvas`, which is what the pictures are of. */
  children: ComponentChildren;
  /** The drawing as an SVG document, where it is a canvas. */
  vector?: () => Promise<string>;
  /** Buttons of the chart's own, beside the title. */
  tools?: ComponentChildren;
  class?: string;
}

/** Rows of a table's page. */
const PAGE = 50;

export function Chart({ title, id, summary, twin, children, vector, tools, class: className }: Props) {
  const name = id ?? title.toLowerCase().replace(/[^a-z0-9]+/g, "-").slice(0, 32);
  const [table, setTable] = useListed("tables", name);
  const [large, setLarge] = useListed("large", name);
  const box = useRef<HTMLDivElement>(null);
  const drawing = () => box.current?.querySelector<SVGSVGElement | HTMLCanvasElement>(":scope > svg, :scope > canvas, :scope > * > svg, :scope > * > canvas");
  const picture = (kind: "png" | "svg") => {
    const found = drawing();
    if (!found) return;
    if (kind === "svg" && found instanceof SVGSVGElement) return saveSvg(found, title);
    const saved = kind === "svg" && vector ? vector().then((text) => saveText(text, fileName(title, "svg"), "image/svg+xml")) : savePng(found, title);
    saved.catch((error: unknown) => toast({ text: `The picture could not be made: ${error instanceof Error ? error.message : error}`, tone: "bad" }));
  };
  return (
    <figure
      class={`chart ${className ?? ""}${large ? " large" : ""}`}
      onKeyDown={(event) => {
        if (event.key !== "Escape" || !large) return;
        setLarge(false);
        event.stopPropagation();
      }}
    >
      <figcaption>
        <h2>{title}</h2>
        <span class="spacer" />
        {tools}
        <button type="button" class="small" aria-pressed={table} onClick={() => setTable(!table)}>
          Table
        </button>
        <button type="button" class="small" aria-pressed={large} aria-label="Fill the window" title="Fill the window (Esc: back)" onClick={() => setLarge(!large)}>
          ⤢
        </button>
        <Popover label="Save" class="small" align="end">
          {(close) => (
            <div class="menu">
              <button type="button" onClick={() => (close(), saveCsv(twin.columns, twin.rows, title))}>
                CSV, the numbers
              </button>
              {table ? null : (
                <>
                  <button type="button" onClick={() => (close(), picture("png"))}>
                    PNG, the picture
                  </button>
                  <button type="button" onClick={() => (close(), picture("svg"))}>
                    SVG, in lines
                  </button>
                </>
              )}
            </div>
          )}
        </Popover>
      </figcaption>
      {table ? (
        <TwinTable label={title} twin={twin} />
      ) : (
        <div class="drawing" ref={box} role="group" aria-label={summary}>
          {children}
        </div>
      )}
    </figure>
  );
}

function TwinTable({ label, twin }: { label: string; twin: Twin }) {
  const [page, setPage] = useState(0);
  const pages = Math.max(1, Math.ceil(twin.rows.length / PAGE));
  const at = Math.min(page, pages - 1);
  return (
    // It scrolls, so the keyboard must reach it.
    <div class="twin" tabIndex={0} role="group" aria-label={`${label}, as a table`}>
      <table class="plain">
        <thead>
          <tr>
            {twin.columns.map((column) => (
              <th key={column} scope="col">
                {column}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {twin.rows.slice(at * PAGE, at * PAGE + PAGE).map((row, index) => (
            <tr key={at * PAGE + index}>
              {row.map((cell, column) => (
                <td key={column} class={typeof cell === "number" ? "end num" : ""}>
                  {cell === null ? "–" : typeof cell === "number" ? cell.toLocaleString("en-US") : <Wire text={String(cell)} limit={300} />}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {pages > 1 ? (
        <p class="pager">
          <button type="button" class="small" disabled={at === 0} onClick={() => setPage(at - 1)}>
            Before
          </button>
          <span class="num">
            {at + 1} of {pages}
          </span>
          <button type="button" class="small" disabled={at === pages - 1} onClick={() => setPage(at + 1)}>
            Next
          </button>
        </p>
      ) : null}
    </div>
  );
}
