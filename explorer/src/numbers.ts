// Numbers in the reader's locale.

const plain = new Intl.NumberFormat(undefined, { maximumFractionDigits: 2 });
const compact = new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 1 });
const percent = new Intl.NumberFormat(undefined, { style: "percent", maximumFractionDigits: 1, signDisplay: "exceptZero" });

export const showNumber = (value: number | null | undefined): string => (value == null ? "–" : plain.format(value));
export const showCompact = (value: number): string => compact.format(value);
export const showChange = (value: number | null | undefined): string => (value == null ? "–" : percent.format(value));
