package approval

import (
	"os"
	"strings"
	"testing"
)

// docs/approvals.md has the table, row by row.
func TestTheDocsHaveTheTable(t *testing.T) {
	page, err := os.ReadFile("../../docs/approvals.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "| from | cause | to | by |\n| --- | --- | --- | --- |\n")
	var rows []string
	for row := range strings.Lines(rest) {
		if !strings.HasPrefix(row, "|") {
			break
		}
		rows = append(rows, strings.TrimSpace(row))
	}
	list := Transitions()
	if len(rows) != len(list) {
		t.Errorf("docs/approvals.md has %d rows, the table has %d", len(rows), len(list))
	}
	for i, tr := range list {
		want := "| " + strings.Join([]string{string(tr.From), string(tr.Cause), string(tr.To), string(tr.By)}, " | ") + " |"
		if i < len(rows) && rows[i] != want {
			t.Errorf("row %d is %s, expected %s", i, rows[i], want)
		}
	}
}
