// Accounts, tokens and the audit log, for administrators.

import { useEffect, useState } from "preact/hooks";
import { type ApiError, asApiError, get, send } from "../../api/client";
import type { Account, Accounts, Audit, AuditCheck, Role, Tokens } from "../../api/types";
import { ZoneField } from "../../app/Choices";
import { loadMe, me } from "../../app/me";
import { Failed, Loading } from "../../parts/State";
import { toast } from "../../parts/toast";
import { both, minute } from "../../text/time";
import { count } from "../../text/units";
import { Wire } from "../../text/Wire";
import { TokenTable } from "../account/Page";
import "../account/style.css";

const ROLES: readonly Role[] = ["viewer", "analyst", "admin"];

function failed(reason: unknown): void {
  const problem = asApiError(reason);
  toast({ text: problem.detail ? `${problem.message}: ${problem.detail}` : problem.message, tone: "bad" });
}

export function Page() {
  return (
    <div class="admin">
      <Users />
      <AllTokens />
      <Everybody />
      <Log />
    </div>
  );
}

/** What everybody begins with. */
function Everybody() {
  const now = me.value?.zone;
  const [zone, setZone] = useState<string>();
  const save = async (event: Event) => {
    event.preventDefault();
    if (!zone) return;
    try {
      await send("PUT /api/v1/defaults", { zone });
      toast({ text: `Times are shown in ${zone}, but for those who chose another zone.`, tone: "good" });
    } catch (reason) {
      failed(reason);
    }
    await loadMe();
  };
  return (
    <section aria-labelledby="everybody">
      <h2 id="everybody">For everybody</h2>
      <p class="quiet">The zone that times are shown in. Everybody may choose another one under Display; they are kept and linked in UTC.</p>
      <form class="fields inline" onSubmit={(event) => void save(event)}>
        {now ? <ZoneField key={now} label="Zone for everybody" value={now} onChoose={setZone} /> : null}
        <button type="submit" disabled={!zone || zone === now}>
          Set
        </button>
      </form>
    </section>
  );
}

function Users() {
  const [list, setList] = useState<Accounts>();
  const [error, setError] = useState<ApiError>();
  const load = () =>
    get("/api/v1/users", {}).then(
      (value) => (setList(value), setError(undefined)),
      (reason: unknown) => setError(asApiError(reason)),
    );
  useEffect(() => void load(), []);
  const change = async (user: Account, patch: { role?: Role; enabled?: boolean }) => {
    try {
      await send("PATCH /api/v1/users/{name}", { role: null, enabled: null, password: null, ...patch }, { name: user.name });
      toast({ text: `${user.name} is changed; its sessions have ended.`, tone: "good" });
    } catch (reason) {
      failed(reason);
    }
    await load();
  };
  return (
    <section aria-labelledby="users">
      <h2 id="users">Accounts</h2>
      {error ? <Failed error={error} retry={() => void load()} /> : null}
      {list ? <UserTable users={list.users} onChange={(user, patch) => void change(user, patch)} /> : error ? null : <Loading what="the accounts" />}
      <NewUser onMade={() => void load()} isFirst={list?.users.length === 0} />
    </section>
  );
}

function UserTable({ users, onChange }: { users: readonly Account[]; onChange: (user: Account, patch: { role?: Role; enabled?: boolean }) => void }) {
  if (users.length === 0) return <p class="quiet">There are none yet. The first one is an administrator; one-time links open nothing afterwards.</p>;
  return (
    <table class="plain">
      <thead>
        <tr>
          <th scope="col">Name</th>
          <th scope="col">Role</th>
          <th scope="col">Made</th>
          <th scope="col">Password of</th>
          <th scope="col">Last signed in</th>
          <th scope="col">May sign in</th>
        </tr>
      </thead>
      <tbody>
        {users.map((user) => (
          <tr key={user.name}>
            <th scope="row">{user.name}</th>
            <td>
              <select
                aria-label={`Role of ${user.name}`}
                value={user.role}
                disabled={user.name === me.value?.name}
                onChange={(event) => onChange(user, { role: event.currentTarget.value as Role })}
              >
                {ROLES.map((role) => (
                  <option key={role} value={role}>
                    {role}
                  </option>
                ))}
              </select>
            </td>
            <td class="num">{minute(user.created)}</td>
            <td class="num">{minute(user.password_changed)}</td>
            <td class="num">{user.last_login ? minute(user.last_login) : "never"}</td>
            <td>
              <button type="button" class="small" disabled={user.name === me.value?.name} onClick={() => onChange(user, { enabled: user.disabled !== null })}>
                {user.disabled === null ? "Disable" : "Enable"}
              </button>{" "}
              {user.disabled === null ? null : <span class="quiet">disabled since {minute(user.disabled)}</span>}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function NewUser({ onMade, isFirst }: { onMade: () => void; isFirst: boolean }) {
  const [name, setName] = useState("");
  const [role, setRole] = useState<Role>("analyst");
  const [password, setPassword] = useState("");
  const [problem, setProblem] = useState<string>();
  const make = async (event: Event) => {
    event.preventDefault();
    try {
      await send("POST /api/v1/users", { name, role: isFirst ? "admin" : role, password });
    } catch (reason) {
      const failure = asApiError(reason);
      return setProblem(failure.detail || failure.message);
    }
    setProblem(undefined);
    if (isFirst) return location.assign("/login");
    toast({ text: `${name} may sign in as ${role}.`, tone: "good" });
    setName("");
    setPassword("");
    onMade();
    await loadMe();
  };
  return (
    <form class="fields inline" onSubmit={(event) => void make(event)} aria-label="New account">
      <label>
        <span>Name</span>
        <input required maxLength={64} autocomplete="off" autocapitalize="none" spellcheck={false} value={name} onInput={(event) => setName(event.currentTarget.value)} />
      </label>
      <label>
        <span>Role</span>
        <select value={isFirst ? "admin" : role} disabled={isFirst} onChange={(event) => setRole(event.currentTarget.value as Role)}>
          {ROLES.map((one) => (
            <option key={one} value={one}>
              {one}
            </option>
          ))}
        </select>
      </label>
      <label>
        <span>Password</span>
        <input type="password" required minLength={12} maxLength={256} autocomplete="new-password" value={password} onInput={(event) => setPassword(event.currentTarget.value)} />
      </label>
      <button type="submit">Make the account</button>
      {problem ? (
        <p class="form-error" role="alert">
          {problem}
        </p>
      ) : null}
    </form>
  );
}

function AllTokens() {
  const [list, setList] = useState<Tokens>();
  const [error, setError] = useState<ApiError>();
  const load = () =>
    get("/api/v1/tokens", {}).then(
      (value) => (setList(value), setError(undefined)),
      (reason: unknown) => setError(asApiError(reason)),
    );
  useEffect(() => void load(), []);
  const revoke = (id: number) => {
    send("DELETE /api/v1/tokens/{id}", undefined, { id }).then(load, failed);
  };
  return (
    <section aria-labelledby="all-tokens">
      <h2 id="all-tokens">API tokens of all accounts</h2>
      {error ? <Failed error={error} retry={() => void load()} /> : null}
      {list?.tokens.length ? <TokenTable tokens={list.tokens} owners onRevoke={revoke} /> : <p class="quiet">None.</p>}
    </section>
  );
}

function Log() {
  const [pages, setPages] = useState<readonly Audit[]>([]);
  const [error, setError] = useState<ApiError>();
  const [check, setCheck] = useState<AuditCheck>();
  const load = (before?: number) =>
    get("/api/v1/audit", before === undefined ? {} : { before }).then(
      (page) => (setPages((now) => (before === undefined ? [page] : [...now, page])), setError(undefined)),
      (reason: unknown) => setError(asApiError(reason)),
    );
  useEffect(() => void load(), []);
  const next = pages.at(-1)?.next;
  return (
    <section aria-labelledby="audit">
      <h2 id="audit">Audit log</h2>
      <p class="quiet">
        Each entry&rsquo;s hash covers it and the entry before; the ledger notes the newest. <code>spotter audit verify</code> checks it from outside.
      </p>
      <p>
        <button type="button" class="small" onClick={() => get("/api/v1/audit/check", {}).then(setCheck, failed)}>
          Check the chain
        </button>{" "}
        {check ? (
          <span role="status" class={check.broken_at === null ? "" : "form-error"}>
            {check.broken_at === null ? `${count(check.entries)} entries fit, and ${count(check.heads)} heads in the ledger.` : `Changed at entry ${check.broken_at}: ${check.what}`}
          </span>
        ) : null}
      </p>
      {error ? <Failed error={error} retry={() => void load()} /> : null}
      <table class="plain">
        <thead>
          <tr>
            <th scope="col" class="end">
              No.
            </th>
            <th scope="col">Time</th>
            <th scope="col">Who</th>
            <th scope="col">From</th>
            <th scope="col">What</th>
            <th scope="col">To what</th>
            <th scope="col">More</th>
          </tr>
        </thead>
        <tbody>
          {pages.flatMap((page) =>
            page.entries.map((entry) => (
              <tr key={entry.seq}>
                <td class="end num" title={entry.hash}>
                  {entry.seq}
                </td>
                <td class="num" title={both(entry.time)}>
                  {minute(entry.time)}
                </td>
                <td>
                  <Wire text={entry.actor} limit={64} />
                </td>
                <td class="mono">
                  <Wire text={entry.address} limit={64} />
                </td>
                <td>
                  <Wire text={entry.action} limit={64} />
                </td>
                <td>
                  <Wire text={entry.subject} limit={200} />
                </td>
                <td>
                  <Wire text={entry.detail} limit={200} />
                </td>
              </tr>
            )),
          )}
        </tbody>
      </table>
      {next ? (
        <button type="button" class="small" onClick={() => void load(next)}>
          Older entries
        </button>
      ) : null}
    </section>
  );
}
