// What the operator has set, from the page's data block.

export interface Link {
  text: string;
  url: string;
}

export interface Settings {
  name: string;
  color: string;
  links: Link[];
}

export function readSettings(): Settings {
  const given = JSON.parse(document.getElementById("settings")?.textContent || "{}") as Partial<Settings>;
  return { name: "Reporting", color: "#3152c8", links: [], ...given };
}

/** Set the page's color, and whether text on it is dark or light. */
export function applyColor(color: string): void {
  const [red, green, blue] = [1, 3, 5].map((at) => {
    const part = parseInt(color.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  const luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  const style = document.documentElement.style;
  style.setProperty("--brand", color);
  style.setProperty("--on-brand", luminance > 0.18 ? "#000" : "#fff");
}
