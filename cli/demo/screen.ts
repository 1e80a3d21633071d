/** A block of lines that is shown again and again: in place on a terminal, one after the other elsewhere. */

export interface Screen {
  show(lines: readonly string[]): void;
}

const CLEAR_BELOW = "\x1b[J";

/** `terminal`: it understands cursor movements (ECMA-48). */
export function createScreen(write: (text: string) => void, terminal: boolean): Screen {
  let height = 0;
  return {
    show(lines) {
      const back = terminal && height > 0 ? `\x1b[${height}F${CLEAR_BELOW}` : "";
      write(`${back}${lines.join("\n")}\n${terminal ? "" : "\n"}`);
      height = lines.length;
    },
  };
}
