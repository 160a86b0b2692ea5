import { useEffect, useState } from "preact/hooks";
import { asFailure, type Failure } from "./api";
import { FailureNote } from "./failure";
import { rememberedToken, type Session, signIn } from "./session";
import { texts } from "./texts";

interface Props {
  /** Whether a shared link was opened. */
  shared: boolean;
  onSignedIn: (session: Session) => void;
}

export function SignIn({ shared, onSignedIn }: Props) {
  const [token, setToken] = useState("");
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<Failure | null>(null);

  const tryToken = async (given: string) => {
    setBusy(true);
    setFailure(null);
    try {
      onSignedIn(await signIn(given.trim()));
    } catch (error) {
      setBusy(false);
      setFailure(asFailure(error));
    }
  };
  useEffect(() => {
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
        <button class="primary" disabled={busy}>
          {texts.signIn.button}
        </button>
        {failure && <FailureNote failure={failure} />}
      </form>
    </main>
  );
}
