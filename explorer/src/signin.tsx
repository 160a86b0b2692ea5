import { useEffect, useState } from "preact/hooks";
import { Failure } from "./api";
import { FailureNote } from "./failure";
import { listsOrganizations, loadOpenApi } from "./offer";
import { rememberedToken, type Session, signIn } from "./session";
import { texts } from "./texts";

interface Props {
  /** The organization of a shared link. */
  shared: string | null;
  onSignedIn: (session: Session) => void;
}

export function SignIn({ shared, onSignedIn }: Props) {
  const [token, setToken] = useState("");
  const [organization, setOrganization] = useState(shared ?? "");
  const [asksOrganization, setAsksOrganization] = useState(false);
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<Failure | null>(null);

  const tryToken = async (given: string) => {
    setBusy(true);
    setFailure(null);
    try {
      onSignedIn(await signIn(given.trim(), organization.trim() || null));
    } catch (error) {
      setBusy(false);
      setFailure(error instanceof Failure ? error : new Failure(0, "no_response", String(error), null, null, []));
    }
  };
  useEffect(() => {
    loadOpenApi().then((openapi) => setAsksOrganization(!listsOrganizations(openapi)), setFailure);
    const remembered = rememberedToken();
    if (remembered) void tryToken(remembered);
  }, []);

  return (
    <main class="signin">
      <form
        class="card"
        onSubmit={(event) => {
          event.preventDefault();
          void tryToken(token);
        }}
      >
        <h1>{texts.signIn.title}</h1>
        {shared && <p>{texts.signIn.shared}</p>}
        <label>
          {texts.signIn.token}
          <input type="password" autocomplete="off" required aria-describedby="token-hint" value={token} onInput={(event) => setToken(event.currentTarget.value)} />
        </label>
        <p class="muted" id="token-hint">
          {texts.signIn.tokenHint}
        </p>
        {asksOrganization && (
          <label>
            {texts.signIn.organization}
            <input type="text" required spellcheck={false} autocomplete="off" aria-describedby="organization-hint" value={organization} onInput={(event) => setOrganization(event.currentTarget.value)} />
            <small class="muted" id="organization-hint">
              {texts.signIn.organizationHint}
            </small>
          </label>
        )}
        <button class="primary" disabled={busy}>
          {texts.signIn.button}
        </button>
        {failure && <FailureNote failure={failure} />}
      </form>
    </main>
  );
}
