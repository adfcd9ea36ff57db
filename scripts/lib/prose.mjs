// Finds the sentences of the project's prose (Markdown pages and comments), and those among them that begin with a what-clause:
// "What is stored is encrypted", "Whoever holds the key may call". Readers have to hold such a clause in mind until its verb comes.
// A sentence that names its subject is easier to read, above all in a second language.

/** Matches the comments of a language, and the strings and regular expressions in which a comment's mark means nothing. */
const lexers = {
  rust: /(?<comment>\/\/[^\n]*|\/\*[^]*?\*\/)|\br(#*)"[^]*?"\2|"(?:\\[^]|[^"\\])*"|'(?:\\(?:u\{[^}]*\}|x\w\w|.)|[^'\\\n])'/g,
  javascript:
    /(?<comment>\/\/[^\n]*|\/\*[^]*?\*\/)|(?<=(?:^|[(,=:[!&|?{};>])\s*|\breturn )\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n])+\/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\[^]|[^`\\])*`/gm,
  css: /(?<comment>\/\*[^]*?\*\/)|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'/g,
  sql: /(?<comment>--[^\n]*|\/\*[^]*?\*\/)|'(?:''|[^'])*'|"(?:""|[^"])*"/g,
  python: /(?<=^|\s)(?<comment>#[^\n]*)|(?<=^[ \t]*)(?<docstring>"""[^]*?""")|"""[^]*?"""|'''[^]*?'''|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'/gm,
  hash: /(?<=^|\s)(?<comment>#[^\n]*)|"""[^]*?"""|'''[^]*?'''|"(?:\\.|[^"\\\n])*"|'[^'\n]*'/gm,
};

const languages = {
  rs: 'rust', wit: 'rust', js: 'javascript', mjs: 'javascript', ts: 'javascript', css: 'css', sql: 'sql', py: 'python', toml: 'hash', yml: 'hash', yaml: 'hash', sh: 'hash',
};

/** Returns whether a file has prose that `sentencesOf` can read, by its name. */
export const hasProse = (path) => path.endsWith('.md') || languages[extension(path)] !== undefined;

const extension = (path) => path.slice(path.lastIndexOf('.') + 1);

/** Returns the sentences of a file as `{line, text}`. The language is known by the file's name. */
export function sentencesOf(path, source) {
  const passages = path.endsWith('.md') ? [numbered(source, 1)] : commentsOf(languages[extension(path)], source);
  return passages.flatMap(paragraphsOf).flatMap(split);
}

/** Returns the comments, each as a list of numbered lines without the comment's marks. Comments on successive lines are one. */
function commentsOf(language, source) {
  const comments = [];
  let [line, at] = [1, 0];
  for (const match of source.matchAll(lexers[language])) {
    const text = match.groups.comment ?? match.groups.docstring;
    if (text === undefined) continue;
    line += count(source.slice(at, match.index), '\n');
    at = match.index;
    const lines = numbered(unmarked(text), line);
    const ownLine = /(^|\n)[ \t]*$/.test(source.slice(0, match.index));
    const mark = /^(\/\/[/!]?|--|#|\/\*|""")/.exec(text)[1];
    const last = comments.at(-1);
    if (ownLine && last?.ownLine && last.mark === mark && last.lines.at(-1).line + 1 === line) last.lines.push(...lines);
    else comments.push({ lines, ownLine, mark });
  }
  return comments.map(({ lines }) => lines);
}

const unmarked = (comment) =>
  /^(\/\*|""")/.test(comment)
    ? comment.replace(/^(\/\*+|""")/, '').replace(/(\*\/|""")$/, '').replace(/^[ \t]*\*(?!\*) ?/gm, '')
    : comment.replace(/^(\/\/[/!]?|--+|#+!?)/, '');

const numbered = (text, first) => text.split('\n').map((content, index) => ({ line: first + index, content }));

const count = (text, character) => text.split(character).length - 1;

/** Returns the paragraphs and list items of a text. Code blocks, tables, headings, rules and pictures made of lines are no prose. */
function paragraphsOf(lines) {
  const paragraphs = [];
  let current = [];
  let fence;
  const end = () => {
    if (current.length > 0) paragraphs.push(current);
    current = [];
  };
  for (const { line, content } of lines) {
    const text = content.trim();
    const mark = /^(```|~~~)/.exec(text)?.[1];
    if (fence !== undefined || mark) {
      end();
      if (mark && (fence === undefined || fence === mark)) fence = fence === undefined ? mark : undefined;
      continue;
    }
    if (text === '' || /^(\||#{1,6} |={3}|-{3}|@\w+\b(?!.* )|\[[^\]]+\]: )/.test(text) || /[│┌└├─▼▲▶]|-->|<--|\+--/.test(text)) {
      end();
      continue;
    }
    const item = /^(?:[-*+]|\d+\.) +(?=\S)/.exec(text);
    if (item) end();
    current.push({ line, content: text.slice(item?.[0].length ?? 0) });
  }
  end();
  return paragraphs;
}

/** Splits a paragraph into sentences, each with the line that it begins on. */
function split(paragraph) {
  let text = '';
  const starts = [];
  for (const { line, content } of paragraph) {
    if (text !== '') text += ' ';
    starts.push({ line, at: text.length });
    text += content;
  }
  const plain = masked(text);
  const sentences = [];
  let from = 0;
  for (const match of plain.matchAll(/[.!?]+["'”’)\]*_]*(?:\s+(?![a-z])|$)|$/g)) {
    const to = match.index + match[0].length;
    if (to < plain.length && endsInAbbreviation(plain.slice(from, match.index + 1))) continue;
    const at = from + /^\s*/.exec(plain.slice(from))[0].length;
    const sentence = text.slice(at, to).trim();
    // One word is a label, such as "Missing."
    if (/\S\s+\S/.test(sentence)) sentences.push({ line: starts.findLast((start) => start.at <= at).line, text: sentence });
    from = to;
  }
  return sentences;
}

/** Returns the text with the inside of code and of links' addresses made of capital letters, so that no full stop in there ends a sentence. */
const masked = (text) => text.replace(/(`+)(?!`)(.*?[^`])\1(?!`)|(?<=\])\([^)\s]*\)/g, (code) => 'X'.repeat(code.length));

const endsInAbbreviation = (text) => /(?:^|[\s(])(?:e\.g|i\.e|etc|cf|vs|approx|no|nos|[A-Z])\.$/.test(text);

/**
 * Returns whether a sentence begins with a clause in the place of a noun: one that starts with What, Whatever, Who, Whoever, Whom, Whose,
 * Whichever or Where, or with That before a clause ("That the key is valid is checked first"; but not "That key is valid").
 * Questions are none, and neither is a label before a colon ("**Who may call**: …").
 */
export function isWhatClause(sentence) {
  const text = sentence.replace(/^[\s*_"'“‘([]+/, '');
  if (/\?["'”’)\]*_]*$/.test(sentence)) return false;
  if (/^\*\*[^*]+(\*\*[.:]|[.:]\*\*)/.test(sentence)) return false;
  return (
    /^(What|Whatever|Whoever|Whomever|Who|Whom|Whose|Whichever|Where|Wherever)\b(?!['’]s next)/.test(text) ||
    /^That (which|what|the|a|an|no|nothing|nobody|every|each|any|it|they|there|its|their|this|these|we|you)\b/.test(text)
  );
}
