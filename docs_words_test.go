package kpm_test

import (
	"regexp"
	"strings"
	"testing"
)

// TestUserVisibleTextIsPlain: no message and no page has one of the words that
// docs/glossary.md, "Words that are not used", lists, in any form.
func TestUserVisibleTextIsPlain(t *testing.T) {
	const glossary = "docs/glossary.md"
	_, table, ok := strings.Cut(pages(t)[glossary], "\n## Words that are not used\n")
	if !ok {
		t.Fatal(glossary + " has no list of words that are not used")
	}
	var words []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z ]+)` \\| [^|]+ \\|$").FindAllStringSubmatch(table, -1) {
		words = append(words, anyForm(row[1]))
	}
	if len(words) < 7 {
		t.Fatalf("%d words were understood", len(words))
	}
	avoided := regexp.MustCompile(`(?i)\b(?:` + strings.Join(words, "|") + `)\b`)
	for _, p := range passages(t) {
		if p.at == glossary || p.kind == isComment || p.kind == isTestLiteral {
			continue
		}
		for _, at := range avoided.FindAllStringIndex(p.text, -1) {
			if strings.HasSuffix(p.text[:at[0]], "--") {
				continue // an option of sudo's
			}
			t.Errorf("%s: %q; %s has the word to use", p.at, excerpt(p.text, at[0], at[1]), glossary)
		}
	}
}

// anyForm is a pattern for a word with the endings that English gives it.
func anyForm(word string) string {
	if strings.Contains(word, " ") {
		return regexp.QuoteMeta(word)
	}
	return strings.TrimSuffix(word, "e") + "(?:e|es|ed|er|ers|ing|s)?"
}

// excerpt is the part of text around a find.
func excerpt(text string, from, to int) string {
	return text[max(0, from-30):min(len(text), to+30)]
}
