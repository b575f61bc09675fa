// The map and the globe. Loaded only where there are places; without a geo database it says so.

import type { FunctionComponent } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Board } from "../../api/types";

export function Places({ board }: { board: Board }) {
  const [map, setMap] = useState<{ Map: FunctionComponent<{ board: Board }> }>();
  const [failed, setFailed] = useState(false);
  const wanted = board.has_geo && board.places.length > 0;
  useEffect(() => {
    if (wanted) import("./Map").then(setMap, () => setFailed(true));
  }, [wanted]);
  if (board.kind !== "address" && board.kind !== "network") return null;
  const why = failed
    ? "The map could not be loaded. Reload the page."
    : board.has_geo
      ? "The geo database knows none of these addresses."
      : "";
  return map && wanted ? (
    <map.Map board={board} />
  ) : (
    <section class="panel-box frame" aria-labelledby="map">
      <h2 id="map">Map</h2>
      <p class="body quiet">
        {wanted && !failed ? "Loading the map …" : why}
        {why ? null : (
          <>
            There is no geo database, so nothing can be placed. Give one with <code>spotter context add FILE</code> (MaxMind format, or Apache Spot's iploc.csv).
          </>
        )}
      </p>
    </section>
  );
}
