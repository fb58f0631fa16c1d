package schematest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/invopop/jsonschema"
)

// referenceHead begins what is generated of a page: its last section.
const referenceHead = "\n## Reference\n"

// Reference fails t unless the last section of page, "Reference", lists the fields of
// docs/schemas/{kind}.schema.json as they are there. With -update it writes that section.
func Reference(t *testing.T, dir, kind, page string) {
	t.Helper()
	data, err := os.ReadFile(dir + "/" + kind + ".schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var s Schema
	if err := json.Unmarshal(data, &s); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\nEvery field of the file, as [%s.schema.json](schemas/%s.schema.json) has it; `make schemas` writes this table. `[]` is each entry of a list.\n\n", referenceHead, kind, kind)
	b.WriteString("| field | type | values | meaning |\n| --- | --- | --- | --- |\n")
	describe(&b, "", &s)
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	own, was, found := bytes.Cut(text, []byte(referenceHead))
	if *update {
		if err := os.WriteFile(page, append(bytes.TrimRight(own, "\n"), []byte("\n"+b.String())...), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !found || referenceHead+string(was) != b.String() {
		t.Errorf("the section Reference of %s is not what the schema says: run make schemas and commit it", page)
	}
}

// describe writes a row for each field of s, which lies at path, and for what is in it.
func describe(b *strings.Builder, path string, s *Schema) {
	if s.Properties == nil {
		return
	}
	for field := s.Properties.Oldest(); field != nil; field = field.Next() {
		if field.Key == "$schema" {
			continue
		}
		at, of := path+field.Key, field.Value
		kind := of.Type
		if of.Items != nil {
			kind, of = "list of "+of.Items.Type, of.Items
			at += "[]"
		}
		values := limits(field.Value)
		if slices.Contains(s.Required, field.Key) {
			values = strings.TrimSuffix("required; "+values, "; ")
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", at, kind, values, strings.ReplaceAll(field.Value.Description, "|", "\\|"))
		describe(b, at+".", of)
	}
}

// limits are what a schema says of a value beside its type.
func limits(s *Schema) string {
	var list []string
	add := func(format string, value any) { list = append(list, fmt.Sprintf(format, value)) }
	for _, of := range []*jsonschema.Schema{s, s.Items} {
		if of == nil {
			continue
		}
		for _, value := range of.Enum {
			add("`%v`", value)
		}
		if of.Minimum != "" && of.Maximum != "" {
			add("%s", of.Minimum.String()+" to "+of.Maximum.String())
		}
	}
	if s.MaxLength != nil {
		add("at most %d characters", *s.MaxLength)
	}
	if s.MaxItems != nil {
		add("at most %d", *s.MaxItems)
	}
	if s.Default != nil {
		add("default `%v`", s.Default)
	}
	return strings.Join(list, ", ")
}
