// What is on the screen, as a file: CSV (RFC 4180), SVG, PNG. Made in the browser, of what is shown.

/** A cell: null is an empty one. */
export type CellValue = string | number | boolean | null;

/** Text that a spreadsheet would take for a formula is led by a quote: OWASP, CSV injection. */
function guarded(text: string): string {
  return /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
}

function csvCell(value: CellValue): string {
  if (value === null) return "";
  if (typeof value !== "string") return String(value);
  const text = guarded(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Lines end with CR LF; the first one has the names. */
export function toCsv(columns: readonly string[], rows: readonly (readonly CellValue[])[]): string {
  return [columns, ...rows].map((row) => `${row.map(csvCell).join(",")}\r\n`).join("");
}

/** A file name without what file systems and shells take amiss. */
export function fileName(text: string, extension: string): string {
  return `${text.replace(/[^A-Za-z0-9._-]+/g, "-").replace(/^[-.]+|[-.]+$/g, "").slice(0, 120) || "spotter"}.${extension}`;
}

export function saveBlob(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // The browser has taken the file over by the next turn, not by now.
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

export function saveText(text: string, name: string, type = "text/plain"): void {
  saveBlob(new Blob([text], { type: `${type};charset=utf-8` }), name);
}

export function saveCsv(columns: readonly string[], rows: readonly (readonly CellValue[])[], name: string): void {
  saveText(toCsv(columns, rows), fileName(name, "csv"), "text/csv");
}

/** Properties that make a drawing look as it does here. */
const LOOKS = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-opacity", "stroke-dasharray", "opacity", "font-family", "font-size", "font-weight", "text-anchor", "dominant-baseline", "color", "display", "visibility"];

/** The drawing as a document of its own: its looks written into it, its ground drawn. Text stays text. */
export function svgText(svg: SVGSVGElement): string {
  const copy = svg.cloneNode(true) as SVGSVGElement;
  const from = [svg, ...svg.querySelectorAll("*")];
  const to = [copy, ...copy.querySelectorAll("*")];
  from.forEach((element, at) => {
    const target = to[at];
    if (!target) return;
    const style = getComputedStyle(element);
    for (const name of LOOKS) {
      const value = style.getPropertyValue(name);
      if (value) target.setAttribute(name, value);
    }
    target.removeAttribute("class");
    target.removeAttribute("style");
  });
  const { width, height } = svg.getBoundingClientRect();
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  copy.setAttribute("width", String(Math.round(width)));
  copy.setAttribute("height", String(Math.round(height)));
  if (!copy.hasAttribute("viewBox")) copy.setAttribute("viewBox", `0 0 ${Math.round(width)} ${Math.round(height)}`);
  const ground = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  const [x = 0, y = 0, w = width, h = height] = (copy.getAttribute("viewBox") ?? "").split(/[ ,]+/).map(Number);
  for (const [name, value] of Object.entries({ x, y, width: w, height: h, fill: getComputedStyle(document.body).backgroundColor })) ground.setAttribute(name, String(value));
  copy.prepend(ground);
  return new XMLSerializer().serializeToString(copy);
}

export function saveSvg(svg: SVGSVGElement, name: string): void {
  saveText(svgText(svg), fileName(name, "svg"), "image/svg+xml");
}

function canvasBlob(canvas: HTMLCanvasElement): Promise<Blob> {
  return new Promise((done, failed) => canvas.toBlob((blob) => (blob ? done(blob) : failed(new Error("The browser made no picture."))), "image/png"));
}

/** A picture of a drawing or a canvas, at twice its size. */
export async function savePng(drawing: SVGSVGElement | HTMLCanvasElement, name: string): Promise<void> {
  let canvas: HTMLCanvasElement;
  if (drawing instanceof HTMLCanvasElement) {
    canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [drawing.width, drawing.height];
    const context = canvas.getContext("2d");
    if (!context) throw new Error("The browser gives no canvas.");
    context.fillStyle = getComputedStyle(document.body).backgroundColor;
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(drawing, 0, 0);
  } else {
    const { width, height } = drawing.getBoundingClientRect();
    canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [Math.max(1, Math.round(width * 2)), Math.max(1, Math.round(height * 2))];
    const image = new Image();
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svgText(drawing))}`;
    await image.decode();
    canvas.getContext("2d")?.drawImage(image, 0, 0, canvas.width, canvas.height);
  }
  saveBlob(await canvasBlob(canvas), fileName(name, "png"));
}
