// Where the peers are: a map, or a globe that turns, with an arc to each.

import { geoEquirectangular, geoGraticule10, geoOrthographic, geoPath } from "d3-geo";
import { useEffect, useRef, useState } from "preact/hooks";
import { feature } from "topojson-client";
import type { GeometryCollection, Topology } from "topojson-specification";
import landUrl from "world-atlas/land-110m.json?url";
import type { Board, Place } from "../../api/types";
import { useMirror, useParam } from "../../app/param";
import { Chart } from "../../parts/chart/Chart";
import { useWidth } from "../../parts/chart/useWidth";
import { WAYS } from "../../parts/subject/links";
import { escapeText } from "../../text/hostile";
import { bytes } from "../../text/units";

const TONES = { in: "s2", out: "s1", two_way: "s4" } as const;
/** A globe that was turned is in the address after so many ms. */
const REST = 300;
type Land = ReturnType<typeof feature>;

export function Map({ board }: { board: Board }) {
  const [land, setLand] = useState<Land>();
  const [shape, setShape] = useParam("shape", ["map", "globe"]);
  const globe = shape === "globe";
  const home = board.places.find((place) => place.is_subject);
  const middle: [number, number] = home ? [-home.longitude, -home.latitude] : [0, -20];
  const [turn, setTurn] = useState<[number, number]>(middle);
  useMirror(
    "turn",
    globe && (turn[0] !== middle[0] || turn[1] !== middle[1]) ? turn.map(Math.round).join(" ") : "",
    (text) => {
      const [longitude, latitude] = text.split(" ").map(Number);
      setTurn(Number.isFinite(longitude) && Number.isFinite(latitude) ? [longitude as number, Math.max(-90, Math.min(90, latitude as number))] : middle);
    },
    REST,
  );
  const { box, width } = useWidth(600);
  const drag = useRef<[number, number]>(undefined);
  useEffect(() => {
    const abort = new AbortController();
    fetch(landUrl, { signal: abort.signal })
      .then((response) => response.json() as Promise<Topology<{ land: GeometryCollection }>>)
      .then(
        (topology) => setLand(feature(topology, topology.objects.land)),
        () => {
          // The places are shown without the land then.
        },
      );
    return () => abort.abort();
  }, []);
  const height = globe ? Math.min(420, width) : Math.round(width / 2);
  const projection = globe
    ? geoOrthographic().rotate([turn[0], turn[1], 0]).translate([width / 2, height / 2]).scale(height / 2 - 8)
    : geoEquirectangular().fitExtent(
        [
          [4, 4],
          [width - 4, height - 4],
        ],
        { type: "Sphere" },
      );
  const path = geoPath(projection);
  const dot = (place: Place) => {
    const point = projection([place.longitude, place.latitude]);
    // Behind the globe a place has a point, but no path.
    return point && path({ type: "Point", coordinates: [place.longitude, place.latitude] }) ? point : undefined;
  };
  return (
    <Chart
      class="frame"
      title={globe ? "Globe" : "Map"}
      summary={`${board.places.length} places of peers.`}
      twin={{ columns: ["Address", "Place", "Latitude", "Longitude", "Way", "Bytes"], rows: board.places.map((place) => [place.ip, place.location, place.latitude, place.longitude, place.is_subject ? "itself" : WAYS[place.way], place.bytes]) }}
      tools={
        <button type="button" class="small" aria-pressed={globe} onClick={() => setShape(globe ? "map" : "globe")}>
          Globe
        </button>
      }
    >
      <div ref={box} class="world">
        <svg
          width={width}
          height={height}
          tabindex={globe ? 0 : -1}
          role="application"
          aria-label={globe ? "Globe. Arrows turn it." : "Map"}
          onPointerDown={(event) => {
            if (!globe) return;
            drag.current = [event.clientX, event.clientY];
            event.currentTarget.setPointerCapture(event.pointerId);
          }}
          onPointerMove={(event) => {
            const from = drag.current;
            if (!from) return;
            setTurn(([a, b]) => [a + (event.clientX - from[0]) * 0.4, Math.max(-90, Math.min(90, b - (event.clientY - from[1]) * 0.4))]);
            drag.current = [event.clientX, event.clientY];
          }}
          onPointerUp={() => (drag.current = undefined)}
          onKeyDown={(event) => {
            const steps: Record<string, [number, number]> = { ArrowLeft: [-10, 0], ArrowRight: [10, 0], ArrowUp: [0, 10], ArrowDown: [0, -10] };
            const step = globe ? steps[event.key] : undefined;
            if (!step) return;
            event.preventDefault();
            setTurn(([a, b]) => [a + step[0], Math.max(-90, Math.min(90, b + step[1]))]);
          }}
        >
          <path class="sea" d={path({ type: "Sphere" }) ?? ""} />
          <path class="graticule" d={path(geoGraticule10()) ?? ""} />
          {land ? <path class="land" d={path(land) ?? ""} /> : null}
          {home
            ? board.places
                .filter((place) => !place.is_subject)
                .map((place) => (
                  <path
                    key={place.ip}
                    class={`arc ${TONES[place.way]}`}
                    d={
                      path({
                        type: "LineString",
                        coordinates: [
                          [home.longitude, home.latitude],
                          [place.longitude, place.latitude],
                        ],
                      }) ?? ""
                    }
                  />
                ))
            : null}
          {board.places.map((place) => {
            const at = dot(place);
            return at ? (
              <circle key={place.ip} class={`dot ${place.is_subject ? "s3" : TONES[place.way]}`} cx={at[0]} cy={at[1]} r={place.is_subject ? 6 : 4}>
                <title>{`${escapeText(place.ip)}\n${escapeText(place.location, 200)}\n${place.is_subject ? "the subject" : `${WAYS[place.way]}, ${bytes(place.bytes)}`}`}</title>
              </circle>
            ) : null;
          })}
        </svg>
      </div>
    </Chart>
  );
}
