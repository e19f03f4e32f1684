// The links in a row of text.

// no invisible characters (\p{Cf}): they could make a link look like another one
const LINK = /\bhttps?:\/\/[^\s<>"`\\\p{Cf}\p{Cc}]+/giu;
const MOST_LINKS = 100; // in one row; each costs a browser more than ten words
const CLOSING: Record<string, string> = { ')': '(', ']': '[', '}': '{' };

export interface Link {
  from: number;
  url: string;
}

/** In their order; none overlaps another. */
export function linksOf(text: string): Link[] {
  if (!text.includes('://')) return [];
  const links: Link[] = [];
  for (const match of text.matchAll(LINK)) {
    const url = trim(match[0]);
    if (isWeb(url)) links.push({ from: match.index, url });
    if (links.length >= MOST_LINKS) break;
  }
  return links;
}

/** The link without the punctuation of the sentence that it stands in; `(http://a/b)` ends before its bracket, `b_(c)` behind. */
function trim(link: string): string {
  const count = (part: string) => link.split(part).length - 1;
  const open: Record<string, number> = {};
  for (const [closing, opening] of Object.entries(CLOSING)) open[closing] = count(opening) - count(closing);
  let end = link.length;
  for (; end; end--) {
    const last = link.charAt(end - 1);
    if (last in open && open[last]!++ >= 0) break;
    if (!/[.,;:!?)\]}'"]/.test(last)) break;
  }
  return link.slice(0, end);
}

function isWeb(link: string): boolean {
  return URL.canParse(link) && /^https?:$/.test(new URL(link).protocol);
}
