// Package schematest generates the schemas in docs/schemas, for the tests that
// hold them to the loaders. Nothing else imports it.
package schematest

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/invopop/jsonschema"
	validator "github.com/santhosh-tekuri/jsonschema/v6"
)

var update = flag.Bool("update", false, "write the schema anew")

// Schema is one schema, or a part of one.
type Schema = jsonschema.Schema

// Of returns the schema of what is decoded into values of v's type. Field tags
// say what Go types do not: `jsonschema:"required,enum=A,default=1"` and
// `jsonschema_description:"..."`. Unknown fields are permitted, as the loaders
// ignore them.
func Of(v any) *Schema {
	r := jsonschema.Reflector{
		Anonymous: true, DoNotReference: true, AllowAdditionalProperties: true, RequiredFromJSONSchemaTags: true,
	}
	s := r.ReflectFromType(reflect.TypeOf(v))
	s.Version = ""
	return s
}

// Object returns the schema of an object without fields so far.
func Object() *Schema {
	return &Schema{Type: "object", Properties: jsonschema.NewProperties()}
}

// Hold fails t unless docs/schemas/{kind}.schema.json is s, under title and
// description. With -update it writes it. dir is docs/schemas, seen from the
// test.
func Hold(t *testing.T, dir, kind, title, description string, s *Schema) {
	t.Helper()
	s.Version, s.Title, s.Description = jsonschema.Version, title, description
	if s.Properties != nil {
		s.Properties.Set("$schema", &Schema{Type: "string", Description: "Where this schema lies, for editors. The agent does not read it."})
	}
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	if err := json.Indent(&want, data, "", "  "); err != nil {
		t.Fatal(err)
	}
	want.WriteByte('\n')
	path := dir + "/" + kind + ".schema.json"
	if *update {
		if err := os.WriteFile(path, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want.Bytes()) {
		t.Errorf("%s is not what the loader reads: run make schemas and commit it\ngenerated:\n%s", path, want.Bytes())
	}
}

// Accept fails t if the schema of kind finds fault with text, which is called
// name.
func Accept(t *testing.T, dir, kind, name, text string) {
	t.Helper()
	if err := validate(t, dir, kind, text); err != nil {
		t.Errorf("%s: %v", name, err)
	}
}

// Refuse fails t if it finds none.
func Refuse(t *testing.T, dir, kind, name, text string) {
	t.Helper()
	if validate(t, dir, kind, text) == nil {
		t.Errorf("%s: the %s schema finds no fault with it", name, kind)
	}
}

func validate(t *testing.T, dir, kind, text string) error {
	t.Helper()
	schema, err := validator.NewCompiler().Compile(dir + "/" + kind + ".schema.json")
	if err != nil {
		t.Fatal(err)
	}
	value, err := validator.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return schema.Validate(value)
}
