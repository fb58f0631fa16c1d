package api

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// schema is a JSON schema, as text.
type schema string

// MarshalJSON implements json.Marshaler. Text that is not JSON is an error of
// Marshal.
func (s schema) MarshalJSON() ([]byte, error) { return []byte(s), nil }

// ref refers to a schema of the document's components.
func ref(name string) schema {
	return schema(fmt.Sprintf(`{"$ref": "#/components/schemas/%s"}`, name))
}

// listOf is a list of what ref refers to.
func listOf(name string) schema {
	return schema(fmt.Sprintf(`{"type": "array", "items": %s}`, ref(name)))
}

// object is a JSON object whose members are sorted by name.
type object = map[string]any

func content(contentType string, s schema) object {
	return object{contentType: object{"schema": s}}
}

// encode writes value as JSON for people: nothing is escaped for HTML.
func encode(value any) (json.RawMessage, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(value)
	return bytes.TrimSpace(b.Bytes()), err
}

// encoded is the JSON of names and texts, which always have one.
func encoded(value any) string {
	data, _ := encode(value)
	return string(data)
}
