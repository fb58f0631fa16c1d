package policy

import (
	"fmt"
	"strings"

	"kpm/core/fault"
	"kpm/core/strictjson"
)

// CollectionType is what a collection holds.
type CollectionType string

// The types of collection that filters can name.
const (
	OfUsers        CollectionType = "user"
	OfGroups       CollectionType = "group"
	OfMachines     CollectionType = "machine"
	OfApplications CollectionType = "application"
)

// Collection is a named list that policies refer to by UID. Its values are
// written as in the filter itself; for a group they are group names or "#id". One
// without a type cannot be read: policies that name it grant nothing and restrict
// everyone.
type Collection struct {
	Type   CollectionType
	Values []string
}

// ParseCollections reads a collections file: an object of UIDs, each with
// Type ("user", "group", "machine" or "application") and Values. The file must
// not be used if a finding is a Fault; a Doubt costs the policies that name the
// collection their grant.
func ParseCollections(file string, data []byte) (map[string]Collection, []Finding) {
	r := &reader{file: file, index: -1}
	top, ok := r.root(data, "$", "an object of collections")
	if !ok {
		return nil, r.findings
	}
	if !top.IsObject() {
		r.fault(top, "$", "no object", "an object of collections", "")
		return nil, r.findings
	}
	list, ok := top.Members(maxEntries)
	if !ok {
		r.fault(top, "$", "more collections", fmt.Sprintf("at most %d", maxEntries), "")
	}
	collections := make(map[string]Collection, len(list))
	for _, m := range list {
		path := fault.Key("$", m.Key)
		r.doubtful = false
		c := r.collection(m.Value, path)
		if _, twice := collections[m.Key]; twice || m.Key == "" || m.Key == "*" {
			r.doubt(m.Value, path, "a UID that is empty, \"*\" or given twice", "a UID of its own", "")
		}
		if r.doubtful { // half of a collection would be another collection
			c = Collection{}
		}
		if m.Key != "*" { // in filters that is everyone, whatever lies here
			collections[m.Key] = c
		}
	}
	return collections, r.findings
}

func (r *reader) collection(v strictjson.Value, path string) Collection {
	f := r.object(v, path, []string{"Type", "Values"})
	c := Collection{Type: CollectionType(strings.ToLower(r.text(f, "Type")))}
	switch c.Type {
	case OfUsers, OfGroups, OfMachines, OfApplications:
	default:
		r.doubt(v, path+".Type", fault.Text(string(c.Type)), "user, group, machine or application", "")
	}
	values := f.get("Values")
	if !values.Given() {
		r.doubt(v, path+".Values", "none", "an array of strings", "")
		return c
	}
	c.Values, _ = r.texts(values, path+".Values")
	return c
}

// looksLikeUID reports whether s has the form of a collection UID: 16 bytes in
// URL-safe base64. Such an entry without a collection is never read as a name.
func looksLikeUID(s string) bool {
	s = strings.TrimSuffix(s, "==")
	return len(s) == 22 && strings.IndexFunc(s, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_')
	}) < 0
}
