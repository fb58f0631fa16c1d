package request

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// documented is one row of docs/wire.md, "States of a request".
type documented struct{ From, Cause, To, By, Deadline, Record string }

func readTable(t *testing.T) []documented {
	t.Helper()
	data, err := os.ReadFile("../../docs/wire.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(data), "\n## States of a request\n")
	if !found {
		t.Fatal("docs/wire.md has no section \"States of a request\"")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	var rows []documented
	for line := range strings.Lines(section) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) != 6 || strings.Contains(line, "---") {
			continue
		}
		for i := range cells {
			cells[i] = strings.Trim(strings.TrimSpace(cells[i]), "`")
		}
		if cells[0] != "from" {
			rows = append(rows, documented{cells[0], cells[1], cells[2], cells[3], cells[4], cells[5]})
		}
	}
	return rows
}

func TestTheTableIsTheDocumentation(t *testing.T) {
	rows := readTable(t)
	if len(rows) != len(transitions) {
		t.Errorf("%d rows in docs/wire.md, %d in the code", len(rows), len(transitions))
	}
	for i := range min(len(rows), len(transitions)) {
		tr, want := transitions[i], rows[i]
		deadline := "none"
		if wait, _ := defaultLimits().deadline(tr.From); wait > 0 {
			deadline = fmt.Sprintf("%d s", wait/time.Second)
		}
		got := documented{string(tr.From), string(tr.Cause), string(tr.To), string(tr.By), deadline, tr.Record}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("row %d: docs (-) and code (+) differ: %s", i+1, diff)
		}
	}
}

func TestTheTableIsSound(t *testing.T) {
	all := []State{Opened, Evaluating, Pending, Allowed, Launching, Running, Ended, Denied, Expired, Failed}
	for _, s := range all {
		var causes []Cause
		for _, tr := range transitions {
			if tr.From != s {
				continue
			}
			if slices.Contains(causes, tr.Cause) {
				t.Errorf("%s has two rows for %s", s, tr.Cause)
			}
			causes = append(causes, tr.Cause)
			if tr.To != Failed && slices.Index(all, tr.To) <= slices.Index(all, tr.From) {
				t.Errorf("%s leads back from %s to %s", tr.Cause, tr.From, tr.To)
			}
		}
		if s.Final() != (len(causes) == 0) {
			t.Errorf("%s has %d rows", s, len(causes))
		}
		if !s.Final() && !slices.Contains(causes, Fault) {
			t.Errorf("%s cannot fail", s)
		}
		wait, late := defaultLimits().deadline(s)
		if wait > 0 && (!slices.Contains(causes, late.Cause) || late.Message == "") {
			t.Errorf("the deadline of %s is %+v", s, late)
		}
	}
}

// defaultLimits are the defaults of docs/settings.md.
func defaultLimits() Limits {
	return Limits{Evaluate: 5 * time.Second, Prompt: 120 * time.Second, Launch: 10 * time.Second, MaxOpen: 256, MaxOpenPerUser: 32}
}
