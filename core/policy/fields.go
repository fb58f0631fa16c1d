package policy

import (
	"fmt"
	"strconv"
	"strings"
)

// fields are the members of one object by known key.
type fields struct {
	known []member
	// slips hold values whose key is one slip away from the known one.
	slips []member
	path  string
}

func (f fields) get(key string) (node, bool) { return lookUp(f.known, key) }

// near is get, following a slip.
func (f fields) near(key string) (node, bool) {
	if n, ok := f.get(key); ok {
		return n, true
	}
	return lookUp(f.slips, key)
}

func lookUp(list []member, key string) (node, bool) {
	for i := range list {
		if list[i].key == key {
			return list[i].value, true
		}
	}
	return node{}, false
}

// at is n for a finding, if it was given.
func (f fields) at(n node, given bool) *node {
	if !given {
		return nil
	}
	return &n
}

// object reads n as an object with the known keys.
func (r *reader) object(n node, path string, known []string) fields {
	list, ok := r.members(n, path)
	if !ok {
		return fields{path: path}
	}
	return r.collect(list, path, known, true)
}

func (r *reader) members(n node, path string) ([]member, bool) {
	if !n.isObject() {
		r.fault(&n, path, n.describe(), "an object", "")
		return nil, false
	}
	list, ok := n.members(maxMembers)
	if !ok {
		r.fault(&n, path, "more keys", fmt.Sprintf("at most %d", maxMembers), "")
	}
	return list, ok
}

// collect sorts members under their known keys. notes says whether unknown
// keys are worth a note.
func (r *reader) collect(list []member, path string, known []string, notes bool) fields {
	f := fields{known: make([]member, 0, len(list)), path: path}
	for _, m := range list {
		if k := find(known, m.key, foldEqual); k != "" {
			if _, twice := f.get(k); twice {
				r.fault(&m.value, path+"."+k, "the key twice", "it once", "readers differ in which of the two they believe")
			}
			f.known = append(f.known, member{k, m.value})
			continue
		}
		if k := find(known, m.key, oneSlip); k != "" {
			r.doubt(&m.value, path+"."+m.key, "an unknown key", k, "mend the spelling, or rename the key")
			f.slips = append(f.slips, member{k, m.value})
			continue
		}
		if path == "$" && len(m.key) > 5 && strings.EqualFold(m.key[len(m.key)-5:], "Check") {
			r.doubt(&m.value, path+"."+m.key, "an unknown filter", "a documented one", "")
			continue
		}
		if notes {
			r.note(&m.value, path+"."+m.key, "an unknown key", "a documented one", "it is ignored")
		}
	}
	return f
}

func find(known []string, key string, equal func(a, b string) bool) string {
	for _, k := range known {
		if equal(k, key) {
			return k
		}
	}
	return ""
}

// text reads a string; absent and null are "".
func (r *reader) text(f fields, key string) string {
	n, given := f.get(key)
	if !given || n.isNull() {
		return ""
	}
	return r.string(n, f.path+"."+key)
}

func (r *reader) string(n node, path string) string {
	text, problem := n.plain()
	if problem != "" {
		r.fault(&n, path, problem, "a string of at most "+strconv.Itoa(maxText)+" bytes, without zero bytes", "")
	}
	return text
}

// items reads an array; null is an empty one.
func (r *reader) items(n node, path string) []node {
	if n.isNull() {
		return nil
	}
	if !n.isArray() {
		r.fault(&n, path, n.describe(), "an array", "put it in [ ]")
		return nil
	}
	list, ok := n.items(maxEntries)
	if !ok {
		r.fault(&n, path, "more entries", fmt.Sprintf("at most %d", maxEntries), "")
	}
	return list
}

// texts reads an array of strings. Empty strings are refused: nobody means one.
func (r *reader) texts(n node, path string) []string {
	items := r.items(n, path)
	list := make([]string, 0, len(items))
	for i, item := range items {
		text, problem := item.plain()
		switch text = strings.TrimSpace(text); {
		case problem != "":
			r.string(item, element(path, i)) // says it
		case text == "":
			r.doubt(&item, element(path, i), "an empty string", "an entry", "remove it")
		default:
			list = append(list, text)
		}
	}
	return list
}

// element is the path of an array's entry.
func element(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }
