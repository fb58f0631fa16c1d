package api

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"testing"

	"kpm/core"
)

var update = flag.Bool("update", false, "rewrite openapi.json")

// openapi.json is what clients are written against, and is committed so that a
// change of it is seen: it is the sum of the operations, to the byte.
func TestOpenAPI(t *testing.T) {
	document, err := openAPI(operations(Config{}))
	if err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	if err := json.Indent(&want, document, "", "  "); err != nil {
		t.Fatal(err)
	}
	want.WriteByte('\n')
	if *update {
		if err := os.WriteFile("openapi.json", want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile("openapi.json"); err != nil || !bytes.Equal(got, want.Bytes()) {
		t.Errorf("openapi.json is not what the operations say (%v): rewrite it with\n\tgo test ./api -run TestOpenAPI -update", err)
	}
}

// A document that cannot be is no server.
func TestFragmentsAreChecked(t *testing.T) {
	for what, change := range map[string]func(*group){
		"a schema that is not JSON":      func(g *group) { g.schemas["Plugin"] = `{"type": "object"` },
		"an answer that is not JSON":     func(g *group) { g.operations[0].answer.schema = `object` },
		"a status that nobody describes": func(g *group) { g.operations[0].problems = []int{418} },
	} {
		g := pluginOperations(nil, nil)
		change(&g)
		if _, err := openAPI([]group{g}); err == nil {
			t.Errorf("%s is accepted", what)
		}
	}
}

func TestEveryKindHasACode(t *testing.T) {
	for kind := core.Internal; kind <= core.Unsupported; kind++ {
		if kinds[kind] == "" {
			t.Errorf("an error of kind %s has no code", kind)
		}
	}
	seen := map[code]bool{}
	for _, row := range codes {
		if seen[row.code] || row.code.status() != row.status {
			t.Errorf("%s has two rows", row.code)
		}
		seen[row.code] = true
	}
}
