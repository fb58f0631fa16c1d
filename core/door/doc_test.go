package door_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"kpm/core/door"
	"kpm/core/signal"
)

// table returns the rows of the first table after marker in docs/wire.md,
// without its head, each row as its trimmed cells.
func table(t *testing.T, marker string) [][]string {
	t.Helper()
	data, err := os.ReadFile("../../docs/wire.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(data), marker)
	if !ok {
		t.Fatalf("docs/wire.md has no %q", marker)
	}
	var rows [][]string
	for _, line := range strings.Split(rest, "\n") {
		if !strings.HasPrefix(line, "|") {
			if rows != nil {
				break
			}
			continue
		}
		cells := strings.Split(strings.Trim(line, "| "), "|")
		for i := range cells {
			cells[i] = strings.Trim(strings.TrimSpace(cells[i]), "`")
		}
		rows = append(rows, cells)
	}
	if len(rows) < 3 {
		t.Fatalf("docs/wire.md: no table after %q", marker)
	}
	return rows[2:]
}

func TestFramesAreTheDocumentedOnes(t *testing.T) {
	type frame struct {
		kind      door.Type
		direction string
	}
	frames := map[string]frame{
		"Request":  {door.TypeRequest, "to service"},
		"Signal":   {door.TypeSignal, "to service"},
		"Answer":   {door.TypeAnswer, "to service"},
		"Prompt":   {door.TypePrompt, "to caller"},
		"Terminal": {door.TypeTerminal, "to caller"},
		"Started":  {door.TypeStarted, "to caller"},
		"Exit":     {door.TypeExit, "to caller"},
		"Refused":  {door.TypeRefused, "to caller"},
		"List":     {door.TypeList, "to service"},
		"Listing":  {door.TypeListing, "to caller"},
		"Notice":   {door.TypeNotice, "to caller"},
		"Again":    {door.TypeAgain, "to caller"},
		"Memory":   {door.TypeMemory, "to service"},
	}
	documented := table(t, "## Door frames")
	for _, row := range documented {
		want, known := frames[row[0]]
		if !known {
			t.Errorf("docs/wire.md documents frame %s, which does not exist", row[0])
			continue
		}
		if row[1] != strconv.Itoa(int(want.kind)) || row[2] != want.direction {
			t.Errorf("docs/wire.md: frame %s is type %s %s, the code says %d %s", row[0], row[1], row[2], want.kind, want.direction)
		}
	}
	if len(documented) != len(frames) {
		t.Errorf("docs/wire.md documents %d frames, there are %d", len(documented), len(frames))
	}
}

func TestRefusalCodesAreTheDocumentedOnes(t *testing.T) {
	codes := []string{
		door.CodeDenied, door.CodeExpired, door.CodeFailed,
		door.CodeBadRequest, door.CodeNotFound, door.CodeUnavailable, door.CodeApprovalPending,
	}
	var documented []string
	for _, row := range table(t, "Refusal codes:") {
		documented = append(documented, row[0])
	}
	if got, want := strings.Join(documented, " "), strings.Join(codes, " "); got != want {
		t.Errorf("docs/wire.md documents the codes %s, the code has %s", got, want)
	}
}

// TestTheSignalsAreThoseOfTheDocs holds docs/wire.md against core/signal.
func TestTheSignalsAreThoseOfTheDocs(t *testing.T) {
	page, err := os.ReadFile("../../docs/wire.md")
	if err != nil {
		t.Fatal(err)
	}
	for s := signal.Signal(1); s < 128; s++ {
		if s.String() == "unknown" {
			continue
		}
		forwarded := map[bool]string{true: "yes", false: "no"}[s.Forwarded()]
		if row := fmt.Sprintf("| %s | %d | %s |", s, s, forwarded); !strings.Contains(string(page), row) {
			t.Errorf("docs/wire.md has no row %q", row)
		}
	}
}
