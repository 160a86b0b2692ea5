// The questions of docs/cookbook.md; build.mjs reads them.

declare const COOKBOOK: { title: string; report: Record<string, unknown> }[];

/** The data set that the cookbook asks about. */
export const COOKBOOK_DATA_SET = "chat_sessions";

export const QUESTIONS = COOKBOOK;
