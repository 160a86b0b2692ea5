// The explorer: from a token to the right chart.

import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import "uplot/dist/uPlot.min.css";
import { fromFragment, type Question, toFragment } from "./question";
import { forgetToken, type Session } from "./session";
import { applyColor, readSettings, type Settings } from "./settings";
import { SignIn } from "./signin";
import { texts } from "./texts";
import { Workspace } from "./workspace";
import "./style.css";

function App({ settings }: { settings: Settings }) {
  const [session, setSession] = useState<Session | null>(null);
  const [question, setQuestion] = useState<Question | null>(() => fromFragment(location.hash));
  const [gallery, setGallery] = useState(false);
  const [offline, setOffline] = useState(!navigator.onLine);
  const [signedOut, setSignedOut] = useState(false);

  useEffect(() => {
    const note = () => setOffline(!navigator.onLine);
    const back = () => {
      // After signing out, earlier entries of the history show nothing of the organization.
      if (signedOut && !session) history.replaceState(null, "", location.pathname);
      else {
        const earlier = fromFragment(location.hash);
        if (earlier) setQuestion(earlier);
      }
    };
    addEventListener("online", note);
    addEventListener("offline", note);
    addEventListener("popstate", back);
    return () => {
      removeEventListener("online", note);
      removeEventListener("offline", note);
      removeEventListener("popstate", back);
    };
  }, [session, signedOut]);

  const enter = (entered: Session) => {
    const known = (question && entered.organizations.find((each) => each.id === question.organization)) ?? null;
    const first = entered.organizations.find((each) => each.dataSets.length) ?? entered.organizations[0];
    if (!known?.dataSets.includes(question?.dataSet ?? "") && first) choose(first.id, first.dataSets[0] ?? "");
    setSession(entered);
    setSignedOut(false);
  };
  const choose = (organization: string, dataSet: string) => {
    const chosen = { organization, dataSet, report: null, view: null };
    setQuestion(chosen);
    history.pushState(null, "", toFragment(chosen));
  };
  const signOut = () => {
    forgetToken();
    setSession(null);
    setQuestion(null);
    setSignedOut(true);
    history.replaceState(null, "", location.pathname);
  };

  const organization = session?.organizations.find((each) => each.id === question?.organization);
  return (
    <>
      <header class="top">
        {session && (
          <a class="skip" href="#result" onClick={(event) => {
            event.preventDefault();
            document.getElementById("result")?.focus();
          }}>
            {texts.header.skip}
          </a>
        )}
        <strong class="name">{settings.name}</strong>
        {session && organization && question && (
          <>
            <label>
              <span>{texts.header.organization}</span>
              <select value={organization.id} onChange={(event) => {
                const next = session.organizations.find((each) => each.id === event.currentTarget.value)!;
                choose(next.id, next.dataSets.includes(question.dataSet) ? question.dataSet : (next.dataSets[0] ?? ""));
              }}>
                {session.organizations.map(({ id, name }) => (
                  <option key={id} value={id}>
                    {name}
                  </option>
                ))}
              </select>
            </label>
            <label>
              <span>{texts.header.dataSet}</span>
              <select value={question.dataSet} onChange={(event) => choose(organization.id, event.currentTarget.value)}>
                {organization.dataSets.map((each) => (
                  <option key={each}>{each}</option>
                ))}
              </select>
            </label>
            <button type="button" onClick={() => setGallery(true)}>
              {texts.header.questions}
            </button>
          </>
        )}
        <nav>
          {settings.links.map(({ text, url }) => (
            <a key={url} href={url} rel="noreferrer">
              {text}
            </a>
          ))}
          <a href="docs">{texts.header.docs}</a>
          {session && (
            <button type="button" onClick={signOut}>
              {texts.header.signOut}
            </button>
          )}
        </nav>
      </header>
      {offline && (
        <p class="note warning" role="status">
          {texts.network.offline}
        </p>
      )}
      {session && !organization?.dataSets.length && <NoDataSet session={session} />}
      {!session && <SignIn shared={question !== null} onSignedIn={enter} />}
      {session && organization && organization.dataSets.length > 0 && question && (
        <Workspace key={`${question.organization} ${question.dataSet}`} session={session} question={question} gallery={gallery} onQuestion={setQuestion} onGallery={setGallery} />
      )}
    </>
  );
}

/** Why there is nothing to report on, and what helps. */
function NoDataSet({ session }: { session: Session }) {
  const others = session.organizations.some((each) => each.dataSets.length);
  return (
    <main class="single" id="result" tabIndex={-1}>
      <h1>{session.organizations.length ? texts.noDataSet.title : texts.noDataSet.noOrganization}</h1>
      <p role="status">{others ? texts.noDataSet.choose : texts.noDataSet.ask}</p>
    </main>
  );
}

const settings = readSettings();
applyColor(settings.color);
document.title = settings.name;
render(<App settings={settings} />, document.getElementById("app")!);
