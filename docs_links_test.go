package kpm_test

import (
	"os"
	"path"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

// TestLinksBetweenPagesLead: every relative link of a page leads to a file, and
// to a heading of it if it names one.
func TestLinksBetweenPagesLead(t *testing.T) {
	all := pages(t)
	link := regexp.MustCompile(`\[[^\]]*\]\(([^)\s]+)\)`)
	count := 0
	for at, text := range all {
		for _, m := range link.FindAllStringSubmatch(withoutCode(text), -1) {
			if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
				continue
			}
			count++
			target, anchor, named := strings.Cut(m[1], "#")
			file := at
			if target != "" {
				file = path.Join(path.Dir(at), target)
			}
			if _, err := os.Stat(file); err != nil {
				t.Errorf("%s: the link %s leads nowhere", at, m[1])
			} else if named && !anchors(all[file])[anchor] {
				t.Errorf("%s: %s has no heading for the link %s", at, file, m[1])
			}
		}
	}
	if count < 20 {
		t.Errorf("%d links were understood", count)
	}
}

// anchors returns what links call the headings of a page: lower case, without
// punctuation, "-" for a space, and a number after one that was there before.
func anchors(page string) map[string]bool {
	found := map[string]bool{}
	for _, title := range headings(page) {
		anchor := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' || r == '_':
				return unicode.ToLower(r)
			}
			return -1
		}, title)
		name := anchor
		for n := 1; found[name]; n++ {
			name = anchor + "-" + strconv.Itoa(n)
		}
		found[name] = true
	}
	return found
}
