// Lays a graph out by forces, off the page's thread. In: a graph, or a node that is dragged. Out: positions, while it moves.

import { forceCollide, forceLink, forceManyBody, forceSimulation, forceX, forceY, type Simulation, type SimulationLinkDatum, type SimulationNodeDatum } from "d3-force";

export interface Start {
  kind: "start";
  /** Number of this graph: positions of an older one are not taken for it. */
  turn: number;
  radii: readonly number[];
  /** Where nodes stood before; NaN for new ones. */
  known: Float32Array;
  links: readonly (readonly [number, number, number])[];
}

export interface Drag {
  kind: "drag";
  node: number;
  x: number;
  y: number;
}

export interface Release {
  kind: "release";
  node: number;
}

export interface Positions {
  turn: number;
  positions: Float32Array;
  settled: boolean;
}

interface Body extends SimulationNodeDatum {
  r: number;
}

/** Steps until it rests, and steps between two drawings. */
const STEPS = 120;
const SHOWN = 2;

let simulation: Simulation<Body, SimulationLinkDatum<Body>> | undefined;
let turn = 0;
let left = 0;
let running = false;

function run(): void {
  if (!simulation) return;
  running = true;
  for (let step = 0; step < SHOWN && left > 0; step += 1, left -= 1) simulation.tick();
  const bodies = simulation.nodes();
  const positions = new Float32Array(bodies.length * 2);
  bodies.forEach((body, at) => {
    positions[2 * at] = body.x ?? 0;
    positions[2 * at + 1] = body.y ?? 0;
  });
  postMessage({ turn, positions, settled: left === 0 } satisfies Positions, { transfer: [positions.buffer] });
  if (left > 0) setTimeout(run, 0);
  else running = false;
}

function go(steps: number): void {
  left = steps;
  if (!running) run();
}

addEventListener("message", ({ data }: MessageEvent<Start | Drag | Release>) => {
  if (data.kind === "start") {
    turn = data.turn;
    const bodies: Body[] = data.radii.map((r, at) => {
      const [x, y] = [data.known[2 * at], data.known[2 * at + 1]];
      return x !== undefined && y !== undefined && !Number.isNaN(x) ? { r, x, y } : { r };
    });
    const old = bodies.filter((body) => body.x !== undefined).length;
    simulation = forceSimulation(bodies)
      .stop()
      .alphaDecay(1 - 0.001 ** (1 / STEPS))
      .force("link", forceLink<Body, SimulationLinkDatum<Body>>(data.links.map(([source, target, strength]) => ({ source, target, strength }))).distance(46).strength((link) => (link as { strength?: number }).strength ?? 0.4))
      .force("charge", forceManyBody().strength(-70).distanceMax(420))
      .force("collide", forceCollide<Body>((body) => body.r + 3))
      .force("x", forceX(0).strength(0.05))
      .force("y", forceY(0).strength(0.07));
    if (old > bodies.length / 2) simulation.alpha(0.4);
    go(STEPS);
    return;
  }
  const body = simulation?.nodes()[data.node];
  if (!simulation || !body) return;
  if (data.kind === "drag") {
    [body.fx, body.fy] = [data.x, data.y];
    simulation.alpha(Math.max(simulation.alpha(), 0.25));
    go(30);
  } else {
    body.fx = null;
    body.fy = null;
    go(40);
  }
});
