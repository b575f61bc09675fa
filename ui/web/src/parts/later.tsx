// A component whose code is fetched when it is first drawn: what the first screen does not need does not wait on it.

import type { FunctionComponent } from "preact";
import { useEffect, useState } from "preact/hooks";
import { ApiError } from "../api/client";
import { Failed, Loading } from "./State";

/** The component, loaded by `load`; `what` is said while it is on its way. */
export function later<P extends object>(load: () => Promise<FunctionComponent<P>>, what: string): FunctionComponent<P> {
  let known: FunctionComponent<P> | undefined;
  return function Later(props: P) {
    const [, draw] = useState(0);
    const [error, setError] = useState<ApiError>();
    useEffect(() => {
      if (known) return;
      let wanted = true;
      load().then(
        (found) => {
          known = found;
          if (wanted) draw((turn) => turn + 1);
        },
        () => wanted && setError(new ApiError(0, `${what} could not be loaded`, "", "Is the server still there? After an update of the server, reload.")),
      );
      return () => {
        wanted = false;
      };
    }, []);
    if (error) return <Failed error={error} />;
    const Known = known;
    return Known ? <Known {...props} /> : <Loading what={what} />;
  };
}
