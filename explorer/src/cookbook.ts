// The questions of docs/cookbook.md.

export const COOKBOOK: { title: string; dataSet: string; report: Record<string, unknown> }[] = [];
