// What can be done with a result: share, copy as a program, download.

import { useEffect, useState } from "preact/hooks";
import { asFailure, bodyOf, type Failure, pathOf, schemeOf, send } from "./api";
import { asCode, type Language } from "./copy";
import { FailureNote } from "./failure";
import type { Offer } from "./offer";
import { asPng, type Picture, save } from "./png";
import { linkTo, type Question } from "./question";
import { type Report, toBody } from "./report";
import { texts } from "./texts";

interface Props {
  question: Question & { report: Report };
  token: string;
  offer: Offer;
  title: string;
  /** Draws the charts that are shown; null if there are none. */
  pictures: (() => Picture[]) | null;
}

const LANGUAGES: Language[] = ["curl", "python", "javascript", "powerQuery"];

export function Actions({ question, token, offer, title, pictures }: Props) {
  const [note, setNote] = useState("");
  const [shown, setShown] = useState<string | null>(null);
  const [failed, setFailed] = useState<{ kind: string; failure: Failure } | null>(null);
  useEffect(() => {
    if (!note) return;
    const timer = setTimeout(() => setNote(""), 4000);
    return () => clearTimeout(timer);
  }, [note]);
  useEffect(() => setFailed(null), [question.report]);

  const copy = async (text: string, show: boolean) => {
    setShown(show ? text : null);
    try {
      await navigator.clipboard.writeText(text);
      setNote(texts.actions.copied);
    } catch {
      setShown(text);
      setNote(texts.actions.notCopied);
    }
  };
  const download = async (kind: string) => {
    setFailed(null);
    try {
      if (kind === "png" && pictures) {
        save(await asPng(title, pictures()), `${question.dataSet}.png`);
        return;
      }
      const accept = kind === "csv" ? "text/csv" : "application/vnd.apache.arrow.stream";
      const response = await send(pathOf(question.organization, question.dataSet), { token, body: toBody(question.report), accept });
      save(await bodyOf(response, (each) => each.blob()), `${question.dataSet}.${kind}`);
    } catch (error) {
      setFailed({ kind, failure: asFailure(error) });
    }
  };
  const downloads = [
    ["csv", texts.actions.csv, offer.csv],
    ["arrow", texts.actions.arrow, offer.arrow],
    ["png", texts.actions.png, pictures !== null],
  ] as const;
  const offered = downloads.filter(([, , has]) => has);

  return (
    <div class="actions">
      <button type="button" class="small" onClick={() => copy(linkTo(question), false)}>
        {texts.actions.share}
      </button>
      <select aria-label={texts.actions.copyAs} value="" onChange={(event) => {
        const language = event.currentTarget.value as Language;
        event.currentTarget.value = "";
        void copy(asCode(language, question.organization, question.dataSet, question.report, schemeOf(token)), true);
      }}>
        <option value="">{texts.actions.copyAs}</option>
        {LANGUAGES.map((each) => (
          <option key={each} value={each}>
            {texts.actions[each]}
          </option>
        ))}
      </select>
      {offered.length > 0 && (
        <select aria-label={texts.actions.download} value="" onChange={(event) => {
          const kind = event.currentTarget.value;
          event.currentTarget.value = "";
          void download(kind);
        }}>
          <option value="">{texts.actions.download}</option>
          {offered.map(([kind, label]) => (
            <option key={kind} value={kind}>
              {label}
            </option>
          ))}
        </select>
      )}
      <span role="status" class="muted">
        {note}
      </span>
      {shown && (
        <textarea class="code" aria-label={texts.actions.copyAs} readOnly rows={Math.min(16, shown.split("\n").length)} value={shown} onFocus={(event) => event.currentTarget.select()} />
      )}
      {failed && <FailureNote failure={failed.failure} onRetry={() => void download(failed.kind)} />}
    </div>
  );
}
