// A failed request: what happened and what helps, with a countdown where the gateway says when to try again.

import { useEffect, useState } from "preact/hooks";
import type { Failure } from "./api";
import { texts } from "./texts";

interface Props {
  failure: Failure;
  onRetry?: () => void;
}

export function FailureNote({ failure, onRetry }: Props) {
  const [title, remedy] = texts.failures[failure.code] ?? [texts.failure.other, ""];
  return (
    <div class="note failure" role="alert" data-code={failure.code}>
      <strong>{title}</strong>
      {failure.detail && <p>{failure.detail}</p>}
      {remedy && <p>{remedy}</p>}
      {failure.problems.length > 0 && (
        <ul>
          {failure.problems.map((each) => (
            <li key={each.pointer + each.message}>
              {each.pointer && <code>{each.pointer}</code>} {each.message}
            </li>
          ))}
        </ul>
      )}
      {failure.requestId && <p class="muted">{texts.failure.requestId(failure.requestId)}</p>}
      {onRetry && <Retry failure={failure} onRetry={onRetry} />}
    </div>
  );
}

function Retry({ failure, onRetry }: Required<Props>) {
  const [left, setLeft] = useState(failure.retryAfter);
  useEffect(() => {
    if (left === null) return;
    if (left <= 0) {
      onRetry();
      return;
    }
    const timer = setTimeout(() => setLeft(left - 1), 1000);
    return () => clearTimeout(timer);
  }, [left]);
  useEffect(() => {
    if (failure.code !== "offline") return;
    addEventListener("online", onRetry);
    return () => removeEventListener("online", onRetry);
  }, []);
  return (
    <p>
      <button type="button" class="small" onClick={onRetry}>
        {texts.failure.retry}
      </button>{" "}
      {left !== null && left > 0 && <span role="timer">{texts.failure.countdown(left)}</span>}
    </p>
  );
}
