// The page of a caller who is signed in: the form on one side, the result on the other.

import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Result } from "./answer";
import { type Answer, asFailure, ask, type Description, type Explanation, Failure, pathOf } from "./api";
import { bounds } from "./buckets";
import { Builder } from "./builder";
import { browserZone } from "./dates";
import { FailureNote } from "./failure";
import { firstReport, Gallery, galleryOf } from "./gallery";
import { showNumber } from "./numbers";
import { offerOf } from "./offer";
import { fromFragment, type Question, toFragment } from "./question";
import { ResultView } from "./result";
import { equal, type Interval, type Report, toBody } from "./report";
import type { Session } from "./session";
import { texts } from "./texts";

type Run =
  | { state: "idle" | "running" | "cancelled"; result: Result | null }
  | { state: "done"; result: Result }
  | { state: "failed"; result: null; failure: Failure };

interface Props {
  session: Session;
  question: Question;
  gallery: boolean;
  onQuestion: (question: Question) => void;
  onGallery: (open: boolean) => void;
}

const CHECK_DELAY = 300;

export function Workspace({ session, question, gallery, onQuestion, onGallery }: Props) {
  const { token } = session;
  const path = pathOf(question.organization, question.dataSet);
  const [description, setDescription] = useState<Description | null>(null);
  const [explanation, setExplanation] = useState<Explanation | null>(null);
  const [refused, setRefused] = useState<Failure | null>(null);
  const [run, setRun] = useState<Run>({ state: "idle", result: null });
  const running = useRef<AbortController | null>(null);
  const offer = useMemo(() => description && offerOf(session.openapi, description), [description]);
  const report = question.report;

  const load = useCallback(() => {
    ask<Description>(path, { token }).then(
      ({ body }) => setDescription(body),
      (error) => setRun({ state: "failed", result: null, failure: asFailure(error) }),
    );
  }, [path, token]);
  useEffect(load, [load]);
  useEffect(() => () => running.current?.abort(), []);

  // Runs the report of the link, or the data set's first one.
  useEffect(() => {
    if (!description || !offer) return;
    const asked = report ?? firstReport(description, offer, browserZone());
    const next = { ...question, report: asked };
    history.replaceState(null, "", toFragment(next));
    onQuestion(next);
    void start(asked);
  }, [description]);

  const start = async (asked: Report) => {
    running.current?.abort();
    const abort = (running.current = new AbortController());
    setRun((before) => ({ state: "running", result: before.result }));
    try {
      const { body, requestId, milliseconds, bytes } = await ask<Answer>(path, { token, body: toBody(asked), signal: abort.signal });
      if (running.current === abort) setRun({ state: "done", result: { answer: body, report: asked, requestId, milliseconds, bytes } });
    } catch (error) {
      if (running.current !== abort) return;
      if (abort.signal.aborted) setRun({ state: "cancelled", result: null });
      else setRun({ state: "failed", result: null, failure: asFailure(error) });
    }
  };

  /** Run the report, and make it a step of the browser's history. */
  const runNow = (asked: Report) => {
    const next = { ...question, report: asked };
    const fragment = toFragment(next);
    if (fragment !== location.hash) history.pushState(null, "", fragment);
    onQuestion(next);
    void start(asked);
  };

  useEffect(() => {
    const back = () => {
      const earlier = fromFragment(location.hash);
      if (!earlier || earlier.organization !== question.organization || earlier.dataSet !== question.dataSet) return;
      onQuestion(earlier);
      if (earlier.report) void start(earlier.report);
    };
    addEventListener("popstate", back);
    return () => removeEventListener("popstate", back);
  }, [question]);

  useEffect(() => {
    const key = (event: KeyboardEvent) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && report) runNow(report);
    };
    addEventListener("keydown", key);
    return () => removeEventListener("keydown", key);
  });

  // The gateway checks every change: problems, size and warnings are known before the report runs.
  const body = report && JSON.stringify(toBody(report));
  useEffect(() => {
    if (!body || !offer?.explain) return;
    const abort = new AbortController();
    const timer = setTimeout(() => {
      ask<Explanation>(`${path}?explain=true`, { token, body: JSON.parse(body), signal: abort.signal }).then(
        (reply) => {
          setExplanation(reply.body);
          setRefused(null);
        },
        (error) => {
          if (abort.signal.aborted) return;
          setExplanation(null);
          setRefused(error instanceof Failure && error.status === 400 ? error : null);
        },
      );
    }, CHECK_DELAY);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [body, offer]);

  // What a relative interval means, if the gateway has just said so.
  const resolved = report && run.result && equal(run.result.report.interval, report.interval) ? run.result.answer.interval : undefined;
  const interval = report && JSON.stringify({ ...report.interval, ...resolved });
  const suggest = useMemo(() => {
    if (!offer?.values || !interval) return null;
    return async (dimension: string, search: string, signal: AbortSignal) => {
      const given = JSON.parse(interval) as Interval;
      const parameters = new URLSearchParams({ limit: "20" });
      const named = { ...bounds(given, Date.now()), time_zone: given.time_zone, search };
      for (const [name, value] of Object.entries(named)) if (value) parameters.set(name, value);
      const reply = await ask<{ values: [string | null, number][] }>(`${path}/dimensions/${encodeURIComponent(dimension)}/values?${parameters}`, { token, signal });
      return reply.body.values.filter((each): each is [string, number] => typeof each[0] === "string");
    };
  }, [offer, interval]);

  const entries = useMemo(() => (description && offer ? galleryOf(description, offer, browserZone()) : []), [description, offer]);
  const pick = (entry: (typeof entries)[number]) => {
    onGallery(false);
    const next = { ...question, report: entry.report, view: entry.view };
    history.pushState(null, "", toFragment(next));
    onQuestion(next);
    void start(entry.report);
  };

  if (!description || !offer || !report) {
    return <main class="single">{run.state === "failed" ? <FailureNote failure={run.failure} onRetry={load} /> : <p role="status">{texts.run.running}</p>}</main>;
  }
  const problems = refused?.problems ?? [];
  const failure = run.state === "failed" ? run.failure : null;
  return (
    <div class="workspace">
      <form
        class="builder card"
        aria-label={texts.builder.title}
        onSubmit={(event) => {
          event.preventDefault();
          runNow(report);
          // On a narrow screen the result is below the form.
          if (innerWidth < 900) document.getElementById("result")?.scrollIntoView();
        }}
      >
        <Builder report={report} description={description} offer={offer} problems={problems} suggest={suggest} onChange={(changed) => onQuestion({ ...question, report: changed })} />
        <div class="run">
          <Size explanation={explanation} refused={refused} />
          {run.state === "running" ? (
            // Keys: otherwise the clicked element would become the other button, and submit the form.
            <button key="cancel" type="button" onClick={() => running.current?.abort()}>
              {texts.run.cancel}
            </button>
          ) : (
            <button key="run" class="primary" title={texts.run.shortcut}>
              {texts.run.run}
            </button>
          )}
        </div>
      </form>
      <main id="result" tabIndex={-1} aria-busy={run.state === "running"}>
        <h1>{description.title}</h1>
        <p class="muted">{description.description}</p>
        {run.state === "running" && (
          <p class="progress" role="status">
            {texts.run.running}
          </p>
        )}
        {run.state === "cancelled" && <p class="note">{texts.run.cancelled}</p>}
        {failure && <FailureNote key={failure.requestId ?? failure.code} failure={failure} onRetry={() => void start(report)} />}
        {run.result && !equal(toBody(run.result.report), toBody(report)) && run.state !== "running" && <p class="note">{texts.run.changed}</p>}
        {run.result && (
          <ResultView
            result={run.result}
            question={{ ...question, report }}
            token={token}
            offer={offer}
            title={description.title}
            explanation={explanation}
            onView={(view) => {
              onQuestion({ ...question, view });
              history.replaceState(null, "", toFragment({ ...question, view }));
            }}
            onAsk={runNow}
          />
        )}
      </main>
      {gallery && <Gallery entries={entries} onPick={pick} onClose={() => onGallery(false)} />}
    </div>
  );
}

function Size({ explanation, refused }: { explanation: Explanation | null; refused: Failure | null }) {
  if (refused) {
    return (
      <div role="status" class="note warning">
        {refused.detail}
      </div>
    );
  }
  if (!explanation) return <div role="status" class="muted" />;
  const { buckets, rows } = explanation.size;
  return (
    <div role="status">
      <span class="muted">{texts.run.size(showNumber(buckets.count), rows.at_most === null ? null : showNumber(rows.at_most))}</span>
      {explanation.warnings.map((each) => {
        const message = typeof each === "string" ? each : each.message;
        return (
          <p class="note warning" key={message}>
            {message}
          </p>
        );
      })}
    </div>
  );
}
