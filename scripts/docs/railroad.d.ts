/** The parts of railroad-diagrams that are used here. */
declare module 'railroad-diagrams' {
  interface Drawing {
    toString(): string;
  }
  type Part = Drawing | string;
  const railroad: {
    Diagram(...parts: Part[]): Drawing;
    Sequence(...parts: Part[]): Drawing;
    Choice(normal: number, ...parts: Part[]): Drawing;
    Optional(part: Part, skip?: 'skip'): Drawing;
    OneOrMore(part: Part, separator?: Part): Drawing;
    ZeroOrMore(part: Part, separator?: Part): Drawing;
    Terminal(text: string): Drawing;
    NonTerminal(text: string): Drawing;
    Skip(): Drawing;
  };
  export default railroad;
}
