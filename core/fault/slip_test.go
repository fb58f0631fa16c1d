package fault

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestOneSlip(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		want bool
	}{
		{"Rules", "Rule", true}, {"Rules", "Ruless", true}, {"Rules", "rulez", true}, {"Rules", "uRles", true},
		{"Rules", "Rulse", true}, {"Rules", "xRules", true}, {"Rules", "ules", true}, {"a", "", true},
		{"Rules", "Rules", false}, {"Rules", "RULES", false}, {"Rules", "Rluse", false}, {"Rules", "Ru", false},
		{"Rules", "Rulesss", false}, {"DateCheck", "TimeCheck", false}, {"", "", false},
	} {
		if got := OneSlip(tc.a, tc.b); got != tc.want {
			t.Errorf("OneSlip(%q, %q) = %v", tc.a, tc.b, got)
		}
		if got := OneSlip(tc.b, tc.a); got != tc.want {
			t.Errorf("OneSlip(%q, %q) = %v", tc.b, tc.a, got)
		}
	}
}

// distance is how many slips turn one text into another, counted by the book:
// slow, and nothing like OneSlip.
func distance(a, b string) int {
	a, b = strings.ToLower(a), strings.ToLower(b)
	d := make([][]int, len(a)+1)
	for i := range d {
		d[i] = make([]int, len(b)+1)
		d[i][0] = i
	}
	for j := range d[0] {
		d[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			d[i][j] = min(d[i-1][j]+1, d[i][j-1]+1, d[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d[i][j] = min(d[i][j], d[i-2][j-2]+1)
			}
		}
	}
	return d[len(a)][len(b)]
}

func TestOneSlipIsADistanceOfOne(t *testing.T) {
	word := rapid.StringOfN(rapid.SampledFrom([]rune("aAbZ@[`{z")), 0, 5, -1)
	rapid.Check(t, func(t *rapid.T) {
		a, b := word.Draw(t, "a"), word.Draw(t, "b")
		if got, want := OneSlip(a, b), distance(a, b) == 1; got != want {
			t.Fatalf("%q and %q: %v", a, b, got)
		}
	})
	for _, tc := range []struct {
		a, b string
		want bool
	}{
		{"ab", "ba", true}, {"ab", "bc", false}, {"ab", "ca", false}, {"xab", "xba", true}, {"abx", "bax", true}, {"abx", "bay", false},
		{"ab", "abcd", false}, {"a", "abc", false}, {"ab", "cabd", false}, {"abc", "bca", false}, {"a@", "a`", true}, {"A[", "a{", true}, {"aZ", "Az", false},
	} {
		if got := OneSlip(tc.a, tc.b); got != tc.want || distance(tc.a, tc.b) == 1 != tc.want {
			t.Errorf("%q and %q: %v", tc.a, tc.b, got)
		}
	}
}
