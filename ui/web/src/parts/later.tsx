// A component whose code is fetched when it is first drawn: what the first screen does not need does not wait on it.

import type { FunctionComponent } from "preact";
import { useEffect, useState } from "preact/hooks";
import { ApiError, get } from "../api/client";
import { Failed, Loading } from "./State";

/** What to say of code that did not come. The server is asked who one is: if the session has ended, that leads to the door. */
export function notLoaded(what: string): ApiError {
  get("/api/v1/me", {}).catch(() => {});
  return new ApiError(0, `${what} could not be loaded`, "", "Is the server still there? After an update of the server, reload.");
}

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
        () => wanted && setError(notLoaded(what)),
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
