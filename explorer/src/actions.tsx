// What can be done with a result: share, copy as a program, download.

import { useEffect, useState } from "preact/hooks";
import { pathOf, send } from "./api";
import type { Panel } from "./answer";
import { asCode, type Language } from "./copy";
import type { Offer } from "./offer";
import { chartsAsPng, save } from "./png";
import { linkTo, type Question } from "./question";
import { type Report, toBody } from "./report";
import { texts } from "./texts";

interface Props {
  question: Question & { report: Report };
  token: string;
  offer: Offer;
  title: string;
  /** The panels of the charts on canvases, in their order in the page. */
  panels: Panel[];
  onFailure: (error: unknown) => void;
}

const LANGUAGES: Language[] = ["curl", "python", "javascript", "powerQuery"];

export function Actions({ question, token, offer, title, panels, onFailure }: Props) {
  const [note, setNote] = useState("");
  const [shown, setShown] = useState<string | null>(null);
  useEffect(() => {
    if (!note) return;
    const timer = setTimeout(() => setNote(""), 4000);
    return () => clearTimeout(timer);
  }, [note]);

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
    try {
      if (kind === "png") {
        const canvases = [...document.querySelectorAll<HTMLCanvasElement>("#charts canvas")];
        save(await chartsAsPng(title, panels, canvases), `${question.dataSet}.png`);
        return;
      }
      const accept = kind === "csv" ? "text/csv" : "application/vnd.apache.arrow.stream";
      const response = await send(pathOf(question.organization, question.dataSet), { token, body: toBody(question.report), accept });
      save(await response.blob(), `${question.dataSet}.${kind}`);
    } catch (error) {
      onFailure(error);
    }
  };
  const downloads = [
    ["csv", texts.actions.csv, offer.csv],
    ["arrow", texts.actions.arrow, offer.arrow],
    ["png", texts.actions.png, panels.length > 0],
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
        void copy(asCode(language, question.organization, question.dataSet, question.report), true);
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
    </div>
  );
}
