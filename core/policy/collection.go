package policy

import (
	"fmt"
	"strings"

	"kpm/core/fault"
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
// written as in the filter itself; for a group they are group names or "#id".
type Collection struct {
	Type   CollectionType
	Values []string
}

// ParseCollections reads a collections file: an object of UIDs, each with
// Type ("user", "group", "machine" or "application") and Values. The file must
// not be used if a finding is a Fault.
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
		if _, twice := collections[m.Key]; twice || m.Key == "" || m.Key == "*" {
			r.fault(m.Value, path, "a UID that is empty, \"*\" or given twice", "a UID of its own", "")
		}
		f := r.object(m.Value, path, []string{"Type", "Values"})
		holds := CollectionType(strings.ToLower(r.text(f, "Type")))
		switch holds {
		case OfUsers, OfGroups, OfMachines, OfApplications:
		default:
			r.fault(m.Value, path+".Type", fault.Text(string(holds)), "user, group, machine or application", "")
		}
		values := f.get("Values")
		if !values.Given() {
			r.fault(m.Value, path+".Values", "none", "an array of strings", "")
			continue
		}
		collections[m.Key] = Collection{Type: holds, Values: r.texts(values, path+".Values")}
	}
	for i := range r.findings {
		// Half of a collection would be another collection.
		if r.findings[i].Severity == Doubt {
			r.findings[i].Severity = Fault
		}
	}
	return collections, r.findings
}

// looksLikeUID reports whether s has the form of a collection UID: 16 bytes in
// URL-safe base64. Such an entry without a collection is never read as a name.
func looksLikeUID(s string) bool {
	s = strings.TrimSuffix(s, "==")
	return len(s) == 22 && strings.IndexFunc(s, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_')
	}) < 0
}
