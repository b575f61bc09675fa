// A drawing context that draws lines, circles and text as SVG: what the canvas shows, as a file that can be scaled and
// searched. Text stays text; it is never parsed.

const NS = "http://www.w3.org/2000/svg";

const round = (value: number) => String(Math.round(value * 100) / 100);

/** As much of a 2D context as the graph is drawn with. */
export class SvgPen {
  globalAlpha = 1;
  fillStyle = "";
  strokeStyle = "";
  lineWidth = 1;
  font = "";
  textBaseline: CanvasTextBaseline = "middle";
  direction: CanvasDirection = "ltr";
  private path = "";
  private dash = "";
  private outline: Record<string, string> = {};
  private readonly svg = document.createElementNS(NS, "svg");

  /** `width` and `height` in pixels; `ground` is what is behind the drawing; text is measured by `real`. */
  constructor(
    width: number,
    height: number,
    ground: string,
    private readonly real: CanvasRenderingContext2D,
  ) {
    for (const [name, value] of Object.entries({ xmlns: NS, width, height, viewBox: `0 0 ${width} ${height}` })) this.svg.setAttribute(name, String(value));
    this.add("rect", { width: String(width), height: String(height), fill: ground });
  }

  private add(name: string, attributes: Record<string, string>): Element {
    const element = document.createElementNS(NS, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (this.globalAlpha < 1) element.setAttribute("opacity", round(this.globalAlpha));
    this.svg.append(element);
    return element;
  }

  setLineDash(dash: number[]): void {
    this.dash = dash.join(" ");
  }
  beginPath(): void {
    this.path = "";
  }
  moveTo(x: number, y: number): void {
    this.path += `M${round(x)} ${round(y)}`;
  }
  lineTo(x: number, y: number): void {
    this.path += `L${round(x)} ${round(y)}`;
  }
  closePath(): void {
    this.path += "Z";
  }
  /** Whole circles only. */
  arc(x: number, y: number, radius: number): void {
    const [r, wide] = [round(radius), round(2 * radius)];
    this.path += `M${round(x - radius)} ${round(y)}a${r} ${r} 0 1 0 ${wide} 0a${r} ${r} 0 1 0 -${wide} 0Z`;
  }
  fill(): void {
    this.add("path", { d: this.path, fill: this.fillStyle });
  }
  stroke(): void {
    this.add("path", { d: this.path, fill: "none", stroke: this.strokeStyle, "stroke-width": round(this.lineWidth), ...(this.dash ? { "stroke-dasharray": this.dash } : {}) });
  }
  measureText(text: string): TextMetrics {
    this.real.font = this.font;
    return this.real.measureText(text);
  }
  /** The outline of the text that is filled next. */
  strokeText(): void {
    this.outline = { stroke: this.strokeStyle, "stroke-width": round(this.lineWidth), "paint-order": "stroke" };
  }
  fillText(text: string, x: number, y: number): void {
    const [size = "", ...family] = this.font.split(" ");
    this.add("text", { x: round(x), y: round(y), "font-size": size, "font-family": family.join(" "), "dominant-baseline": "central", fill: this.fillStyle, ...this.outline }).textContent = text;
    this.outline = {};
  }

  /** The document. */
  text(): string {
    return new XMLSerializer().serializeToString(this.svg);
  }
}
