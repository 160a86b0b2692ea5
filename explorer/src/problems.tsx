// The problems of a report, shown at the field that each JSON Pointer names.

import type { FieldProblem } from "./api";

/** The problems at a pointer or below it. */
export const problemsAt = (problems: FieldProblem[], pointer: string): FieldProblem[] =>
  problems.filter((each) => each.pointer === pointer || each.pointer.startsWith(`${pointer}/`));

export function Problems({ problems, at }: { problems: FieldProblem[]; at: string }) {
  const found = problemsAt(problems, at);
  if (!found.length) return null;
  return (
    <ul class="problems" role="alert" data-pointer={at}>
      {found.map((each) => (
        <li key={each.pointer + each.message}>{each.message}</li>
      ))}
    </ul>
  );
}
