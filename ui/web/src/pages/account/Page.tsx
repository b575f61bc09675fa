// One's own account: password, sessions, API tokens.

import { useEffect, useState } from "preact/hooks";
import { type ApiError, asApiError, get, send } from "../../api/client";
import type { Scope, SessionInfo, TokenInfo } from "../../api/types";
import { may, me } from "../../app/me";
import { Failed, Loading, Notice } from "../../parts/State";
import { toast } from "../../parts/toast";
import { minute } from "../../text/time";
import { Wire } from "../../text/Wire";
import "./style.css";

const SCOPES: readonly Scope[] = ["metrics", "viewer", "analyst", "admin"];

export async function signOut(): Promise<void> {
  try {
    await send("POST /api/v1/logout", undefined);
    location.assign(me.value?.via === "session" ? "/login" : "/");
  } catch (error) {
    toast({ text: asApiError(error).message, tone: "bad" });
  }
}

export function Page() {
  const who = me.value;
  if (!who) return <Loading what="your account" />;
  return (
    <div class="account">
      <header class="account-head">
        <h2>
          {who.name} <span class="pill solid">{who.role}</span>
        </h2>
        <span class="spacer" />
        <button type="button" onClick={() => void signOut()}>
          Sign out
        </button>
      </header>
      {who.via === "session" ? (
        <>
          <Password />
          <Sessions />
          <Tokens />
        </>
      ) : (
        <Notice title="You came by the console's one-time link">
          <p>
            There are no accounts yet. <code>spotter user add NAME --role admin</code>, or the Admin page, makes the first one; links open nothing afterwards.
          </p>
        </Notice>
      )}
    </div>
  );
}

function Password() {
  const [current, setCurrent] = useState("");
  const [next, setNext] = useState("");
  const [again, setAgain] = useState("");
  const [error, setError] = useState<string>();
  const change = async (event: Event) => {
    event.preventDefault();
    if (next !== again) return setError("The two new passwords are not the same.");
    try {
      await send("POST /api/v1/me/password", { current, new: next });
      for (const clear of [setCurrent, setNext, setAgain]) clear("");
      setError(undefined);
      toast({ text: "The password is changed; your other sessions have ended.", tone: "good" });
    } catch (reason) {
      const problem = asApiError(reason);
      setError(problem.detail || problem.message);
    }
  };
  return (
    <section aria-labelledby="password">
      <h2 id="password">Password</h2>
      <form class="fields" onSubmit={(event) => void change(event)}>
        <Field label="Present password" value={current} set={setCurrent} complete="current-password" />
        <Field label="New password" value={next} set={setNext} complete="new-password" />
        <Field label="New password, again" value={again} set={setAgain} complete="new-password" />
        {error ? (
          <p class="form-error" role="alert">
            {error}
          </p>
        ) : null}
        <button type="submit">Change the password</button>
      </form>
    </section>
  );
}

function Field({ label, value, set, complete }: { label: string; value: string; set: (value: string) => void; complete: "current-password" | "new-password" }) {
  return (
    <label>
      <span>{label}</span>
      <input type="password" required maxLength={256} autocomplete={complete} value={value} onInput={(event) => set(event.currentTarget.value)} />
    </label>
  );
}

function useList<T>(load: (signal: AbortSignal) => Promise<T>): [T | undefined, ApiError | undefined, () => void] {
  const [value, set] = useState<T>();
  const [error, setError] = useState<ApiError>();
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    const abort = new AbortController();
    load(abort.signal).then(
      (found) => (set(found), setError(undefined)),
      (reason: unknown) => !abort.signal.aborted && setError(asApiError(reason)),
    );
    return () => abort.abort();
  }, [turn]);
  return [value, error, () => setTurn((now) => now + 1)];
}

function Sessions() {
  const [list, error, again] = useList((signal) => get("/api/v1/me/sessions", {}, signal));
  const end = async (session: SessionInfo) => {
    try {
      await send("DELETE /api/v1/me/sessions/{id}", undefined, { id: session.id });
      again();
    } catch (reason) {
      toast({ text: asApiError(reason).message, tone: "bad" });
    }
  };
  return (
    <section aria-labelledby="sessions">
      <h2 id="sessions">Sessions</h2>
      {error ? <Failed error={error} retry={again} /> : null}
      {list ? (
        <table class="plain">
          <thead>
            <tr>
              <th scope="col">Browser</th>
              <th scope="col">Address</th>
              <th scope="col">Last used</th>
              <th scope="col">Ends</th>
              <th scope="col">
                <span class="sr-only">End it</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {list.sessions.map((session) => (
              <tr key={session.id}>
                <td>
                  <Wire text={session.agent || "–"} limit={80} /> {session.current ? <span class="pill solid">this one</span> : null}
                </td>
                <td class="mono">{session.address}</td>
                <td class="num">{minute(session.used)}</td>
                <td class="num">{minute(session.expires)}</td>
                <td>
                  {session.current ? null : (
                    <button type="button" class="small" onClick={() => void end(session)}>
                      End
                    </button>
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      ) : null}
    </section>
  );
}

function Tokens() {
  const [list, error, again] = useList((signal) => get("/api/v1/me/tokens", {}, signal));
  const [name, setName] = useState("");
  const [scope, setScope] = useState<Scope>("viewer");
  const [days, setDays] = useState(90);
  const [made, setMade] = useState<string>();
  const [problem, setProblem] = useState<string>();
  const make = async (event: Event) => {
    event.preventDefault();
    try {
      const answer = await send("POST /api/v1/me/tokens", { name, scope, days });
      setMade(answer.token);
      setName("");
      setProblem(undefined);
      again();
    } catch (reason) {
      const failed = asApiError(reason);
      setProblem(failed.detail || failed.message);
    }
  };
  const revoke = async (id: number) => {
    try {
      await send("DELETE /api/v1/me/tokens/{id}", undefined, { id });
      again();
    } catch (reason) {
      toast({ text: asApiError(reason).message, tone: "bad" });
    }
  };
  return (
    <section aria-labelledby="tokens">
      <h2 id="tokens">API tokens</h2>
      <p class="quiet">
        For scripts: <code>Authorization: Bearer spt_…</code>. A token may do what its scope says, and never more than you.
      </p>
      <form class="fields inline" onSubmit={(event) => void make(event)}>
        <label>
          <span>What it is for</span>
          <input required maxLength={64} value={name} onInput={(event) => setName(event.currentTarget.value)} />
        </label>
        <label>
          <span>Scope</span>
          <select value={scope} onChange={(event) => setScope(event.currentTarget.value as Scope)}>
            {SCOPES.filter((one) => one === "metrics" || may(one)).map((one) => (
              <option key={one} value={one}>
                {one}
              </option>
            ))}
          </select>
        </label>
        <label>
          <span>Days</span>
          <input type="number" min={1} max={366} required value={days} onInput={(event) => setDays(event.currentTarget.valueAsNumber)} />
        </label>
        <button type="submit">Make a token</button>
      </form>
      {problem ? (
        <p class="form-error" role="alert">
          {problem}
        </p>
      ) : null}
      {made ? (
        <div class="made" role="status">
          <p>Copy it now: it is not shown again.</p>
          <code class="mono">{made}</code>
          <button type="button" class="small" onClick={() => void navigator.clipboard?.writeText(made).then(() => toast({ text: "Copied" }))}>
            Copy
          </button>
          <button type="button" class="small" onClick={() => setMade(undefined)}>
            Done
          </button>
        </div>
      ) : null}
      {error ? <Failed error={error} retry={again} /> : null}
      {list && list.tokens.length > 0 ? <TokenTable tokens={list.tokens} onRevoke={(id) => void revoke(id)} /> : null}
    </section>
  );
}

export function TokenTable({ tokens, onRevoke, owners }: { tokens: readonly TokenInfo[]; onRevoke: (id: number) => void; owners?: boolean }) {
  return (
    <table class="plain">
      <thead>
        <tr>
          {owners ? <th scope="col">Account</th> : null}
          <th scope="col">For</th>
          <th scope="col">Scope</th>
          <th scope="col">Made</th>
          <th scope="col">Ends</th>
          <th scope="col">Last used</th>
          <th scope="col">
            <span class="sr-only">Take it back</span>
          </th>
        </tr>
      </thead>
      <tbody>
        {tokens.map((token) => (
          <tr key={token.id}>
            {owners ? (
              <td>
                <Wire text={token.user} />
              </td>
            ) : null}
            <td>
              <Wire text={token.name} limit={64} />
            </td>
            <td>{token.scope}</td>
            <td class="num">{minute(token.created)}</td>
            <td class="num">{minute(token.expires)}</td>
            <td class="num">{token.used ? minute(token.used) : "never"}</td>
            <td>
              {token.revoked ? (
                <span class="quiet">taken back</span>
              ) : (
                <button type="button" class="small" aria-label={`Take back ${token.name}`} onClick={() => onRevoke(token.id)}>
                  Take back
                </button>
              )}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
