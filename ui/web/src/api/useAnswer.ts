// An answer of the API for as long as it is wanted: other parameters cancel the request that runs, and so does leaving.

import { useEffect, useState } from "preact/hooks";
import { type ApiError, asApiError, get, type Params } from "./client";
import type { Responses } from "./types";

export interface Answer<T> {
  /** The answer, or the one before while the next is on its way. */
  value: T | undefined;
  error: ApiError | undefined;
  loading: boolean;
  retry: () => void;
  /** Gives up; the server ends its work. */
  cancel: () => void;
}

/** GET of `path`; nothing is asked while `params` is undefined. */
export function useAnswer<P extends keyof Responses>(path: P, params: Params | undefined): Answer<Responses[P]> {
  const [state, set] = useState<{ value?: Responses[P]; error?: ApiError; loading: boolean }>({ loading: params !== undefined });
  const [turn, setTurn] = useState(0);
  const [abort, setAbort] = useState<AbortController>();
  const key = params === undefined ? undefined : JSON.stringify(params);
  useEffect(() => {
    if (params === undefined) return;
    const controller = new AbortController();
    setAbort(controller);
    set(({ value }) => ({ ...(value === undefined ? {} : { value }), loading: true }));
    get(path, params, controller.signal).then(
      (value) => !controller.signal.aborted && set({ value, loading: false }),
      (reason: unknown) => !controller.signal.aborted && set({ error: asApiError(reason), loading: false }),
    );
    return () => controller.abort();
  }, [path, key, turn]);
  return {
    value: state.value,
    error: state.error,
    loading: state.loading,
    retry: () => setTurn(turn + 1),
    cancel: () => {
      abort?.abort();
      set(({ value }) => ({ ...(value === undefined ? {} : { value }), loading: false }));
    },
  };
}
