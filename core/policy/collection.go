package policy

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Kind is what a collection holds.
type Kind string

// The kinds of collection that filters can name.
const (
	KindUser        Kind = "user"
	KindGroup       Kind = "group"
	KindMachine     Kind = "machine"
	KindApplication Kind = "application"
)

// Collection is a named list that policies refer to by UID. Its values are
// written as in the filter itself; for a group they are group names or "#id".
type Collection struct {
	Kind   Kind
	Values []string
}

// ParseCollections reads a collections file: an object of UIDs, each with
// Type ("user", "group", "machine" or "application") and Values. The file must
// not be used if a finding is a Fault.
func ParseCollections(file string, data []byte) (map[string]Collection, []Finding) {
	r := &reader{file: file, index: -1}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if len(data) > MaxFile || !utf8.Valid(data) {
		r.fault(nil, "$", "no UTF-8 text of at most 16 MiB", "an object of collections", "")
		return nil, r.findings
	}
	top, err := root(data)
	if err != nil || !top.isObject() {
		found := "no object"
		if err != nil {
			found = "no valid JSON (" + err.Error() + ")"
		}
		r.fault(nil, "$", found, "an object of collections", "mend the JSON")
		return nil, r.findings
	}
	list, ok := top.members(maxEntries)
	if !ok {
		r.fault(&top, "$", "more collections", fmt.Sprintf("at most %d", maxEntries), "")
	}
	collections := make(map[string]Collection, len(list))
	for _, m := range list {
		path := "$." + m.key
		if _, twice := collections[m.key]; twice || m.key == "" || m.key == "*" {
			r.fault(&m.value, path, "a UID that is empty, \"*\" or given twice", "a UID of its own", "")
		}
		f := r.object(m.value, path, []string{"Type", "Values"})
		kind := Kind(strings.ToLower(r.text(f, "Type")))
		switch kind {
		case KindUser, KindGroup, KindMachine, KindApplication:
		default:
			r.fault(&m.value, path+".Type", quote(string(kind)), "user, group, machine or application", "")
		}
		values, given := f.get("Values")
		if !given {
			r.fault(&m.value, path+".Values", "none", "an array of strings", "")
			continue
		}
		collections[m.key] = Collection{Kind: kind, Values: r.texts(values, path+".Values")}
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
