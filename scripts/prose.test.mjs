// Few sentences begin with a what-clause, in every page and every comment; and the reader of sentences finds them all.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasProse, isWhatClause, sentencesOf } from './lib/prose.mjs';
import { LIMIT, readProse, table } from './prose.mjs';

const texts = (path, source) => sentencesOf(path, source).map(({ text }) => text);
const places = (path, source) => sentencesOf(path, source).map(({ line, text }) => `${line} ${text}`);

test('at most one sentence in a hundred begins with a what-clause', () => {
  const prose = readProse();
  console.log(table(prose));
  // A reader that finds no sentences finds no clauses either.
  assert.ok(prose.total.sentences > 2000, `only ${prose.total.sentences} sentences were found`);
  for (const folder of ['docs', 'crates/core', 'crates/cli', 'tests/e2e', 'scripts']) assert.ok(prose.folders.get(folder)?.sentences > 50, `too few sentences in ${folder}`);
  assert.ok(prose.share <= LIMIT, `${(100 * prose.share).toFixed(1)} % of the sentences begin with a what-clause:\n${prose.found.join('\n')}`);
});

test('these sentences begin with a what-clause', () => {
  for (const sentence of [
    'What is stored is encrypted.',
    'What the caller sent.',
    'Whatever fails is a 500.',
    'Whoever holds the key may call.',
    'Who asks is named in the log.',
    'Whose key it is does not matter.',
    'Whichever comes first counts.',
    'Where there is none, the default counts.',
    'That which cannot be read is left out.',
    'That the key is valid is checked first.',
    'That it stands is checked first.',
    '(What is left over stays.)',
    '**What is left** stays.',
    '"What is left" stays.',
    "What's left stays.",
  ]) assert.equal(isWhatClause(sentence), true, sentence);
});

test('these sentences do not', () => {
  for (const sentence of [
    'What does it cost?',
    'Where is the key kept?',
    'Who may call?',
    '**Who may call**: set the list.',
    '**What it costs.** Nothing.',
    'That is why it fails.',
    'That key is valid.',
    'That one is refused.',
    'When the key expires, requests are refused.',
    'Whether a key is valid.',
    'The row says what is stored.',
    'Whatsoever',
    'Whole lists fail.',
    '`What` is a word.',
    'somewhat',
  ]) assert.equal(isWhatClause(sentence), false, sentence);
});

test('sentences end at a full stop, but not at each', () => {
  assert.deepEqual(texts('a.md', 'One sentence. `code` begins another! Does a third? "It does." (So there.) An end'), [
    'One sentence.', '`code` begins another!', 'Does a third?', '"It does."', '(So there.)', 'An end',
  ]);
  assert.deepEqual(texts('a.md', 'Versions, e.g. 1.2.3, and `a. B` or [a page](https://a.example/b.html) are one sentence, etc. and so on. The next one'), [
    'Versions, e.g. 1.2.3, and `a. B` or [a page](https://a.example/b.html) are one sentence, etc. and so on.', 'The next one',
  ]);
});

test('one word is no sentence', () => assert.deepEqual(texts('a.md', 'Missing. It is empty.'), ['It is empty.']));

test('in Markdown: paragraphs and list items, with the line that each sentence begins on', () => {
  const page = [
    '# What the page is about', '', 'A sentence that goes', 'on. What follows', 'ends here.', '- What an item says', '  on two lines', '- another item', '1. What a step does', '',
    '```sh', '# What a comment in code says.', '```', '', '| What | a table |', '|---|---|', '', 'The end.',
  ];
  assert.deepEqual(places('a.md', page.join('\n')), [
    '3 A sentence that goes on.', '4 What follows ends here.', '6 What an item says on two lines', '8 another item', '9 What a step does', '18 The end.',
  ]);
});

test('in Rust: comments of every kind, and nothing from a string or a code block', () => {
  const source = [
    '//! What the module owns', '//! in two lines.', '', '/// A doc comment. What it says.', '///', '/// ```', '/// let what = "What is code."; // What is code, too.', '/// ```',
    "fn f<'a>(x: &'a str) {", '    let url = "https://a.example // What is a string."; // What trails.', '    let raw = r#"', '// What is raw. "quoted"', '"#;', "    let quote = '\"'; // What follows a quote.",
    '    /* What a block', '     * says. */', '}',
  ];
  assert.deepEqual(places('a.rs', source.join('\n')), [
    '1 What the module owns in two lines.', '4 A doc comment.', '4 What it says.', '10 What trails.', '14 What follows a quote.', '15 What a block says.',
  ]);
});

test('in JavaScript: comments, and nothing from strings, templates and regular expressions', () => {
  const source = [
    'const a = /["`/]\\/\\/ What is a pattern/; // What trails.', "const b = 'What is // a string';", 'const c = `', '// What is a template', '`;', '/** What a block says. */', '/**', ' * What a longer one', ' * says.', ' */',
    'const d = e / f; // What divides.',
  ];
  assert.deepEqual(places('a.mjs', source.join('\n')), [
    '1 What trails.', '6 What a block says.', '8 What a longer one says.', '11 What divides.',
  ]);
});

test('in SQL, TOML, Python and CSS', () => {
  assert.deepEqual(places('a.sql', "-- What a table holds,\n-- in two lines.\nSELECT '-- What is text'; -- What trails."), ['1 What a table holds, in two lines.', '3 What trails.']);
  assert.deepEqual(places('a.toml', 'a = "# What is text"\n# What a key means.\n'), ['2 What a key means.']);
  assert.deepEqual(places('a.py', 'def f():\n    """What it does."""\n    a = "# What is text"  # What trails.\n'), ['2 What it does.', '3 What trails.']);
  assert.deepEqual(places('a.css', '/* What a rule does. */ a { content: "/* What is text */" }'), ['1 What a rule does.']);
});

test('successive comments are one text; a trailing comment is its own', () => {
  assert.deepEqual(texts('a.rs', '// A sentence that\n// goes on.\nlet a = 1; // Its own text\nlet b = 2; // And its own text'), ['A sentence that goes on.', 'Its own text', 'And its own text']);
});

test('prose is in pages and source files alone', () => {
  assert.deepEqual(['README.md', 'a/b.rs', 'a.sql', 'Cargo.toml'].map(hasProse), [true, true, true, true]);
  assert.deepEqual(['a.json', 'Cargo.lock', 'LICENSE-MIT', 'a.wasm'].map(hasProse), [false, false, false, false]);
});
