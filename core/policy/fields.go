package policy

import (
	"fmt"
	"strconv"
	"strings"

	"kpm/core/fault"
	"kpm/core/strictjson"
)

// fields are the members of one object by known key.
type fields struct {
	known []strictjson.Member
	// slips hold values whose key is one slip away from the known one.
	slips []strictjson.Member
	path  string
}

// get returns the value of a key; it is not Given if there is none.
func (f fields) get(key string) strictjson.Value { return lookUp(f.known, key) }

// near is get, following a slip.
func (f fields) near(key string) strictjson.Value {
	if v := f.get(key); v.Given() {
		return v
	}
	return lookUp(f.slips, key)
}

// filled is get, for those to whom null is as good as nothing.
func (f fields) filled(key string) (strictjson.Value, bool) { return filled(f.get(key)) }

func filled(v strictjson.Value) (strictjson.Value, bool) { return v, v.Given() && !v.IsNull() }

func lookUp(list []strictjson.Member, key string) strictjson.Value {
	for i := range list {
		if list[i].Key == key {
			return list[i].Value
		}
	}
	return strictjson.Value{}
}

// object reads v as an object with the known keys.
func (r *reader) object(v strictjson.Value, path string, known []string) fields {
	list, ok := r.members(v, path)
	if !ok {
		return fields{path: path}
	}
	return r.collect(list, path, known, true)
}

func (r *reader) members(v strictjson.Value, path string) ([]strictjson.Member, bool) {
	if !v.IsObject() {
		r.fault(v, path, describe(v), "an object", "")
		return nil, false
	}
	list, ok := v.Members(maxMembers)
	if !ok {
		r.fault(v, path, "more keys", fmt.Sprintf("at most %d", maxMembers), "")
	}
	return list, ok
}

// collect sorts members under their known keys. notes says whether unknown
// keys are worth a note.
func (r *reader) collect(list []strictjson.Member, path string, known []string, notes bool) fields {
	f := fields{known: make([]strictjson.Member, 0, len(list)), path: path}
	for _, m := range list {
		if k := find(known, m.Key, foldEqual); k != "" {
			if f.get(k).Given() {
				r.fault(m.Value, path+"."+k, "the key twice", "it once", "readers differ in which of the two they believe")
			}
			f.known = append(f.known, strictjson.Member{Key: k, Value: m.Value})
			continue
		}
		if k := find(known, m.Key, oneSlip); k != "" {
			r.doubt(m.Value, fault.Key(path, m.Key), "an unknown key", k, "correct the spelling, or rename the key")
			f.slips = append(f.slips, strictjson.Member{Key: k, Value: m.Value})
			continue
		}
		filter := path == "$" && len(m.Key) > 5 && strings.EqualFold(m.Key[len(m.Key)-5:], "Check")
		if filter || strings.HasPrefix(path, "$.Filters") { // there, everything is a filter
			r.doubt(m.Value, fault.Key(path, m.Key), "an unknown filter", "a documented one", "")
			continue
		}
		if notes {
			r.note(m.Value, fault.Key(path, m.Key), "an unknown key", "a documented one", "it is ignored")
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
	v, given := f.filled(key)
	if !given {
		return ""
	}
	return r.string(v, f.path+"."+key)
}

func (r *reader) string(v strictjson.Value, path string) string {
	text, problem := plain(v)
	if problem != "" {
		r.fault(v, path, problem, "a string of at most "+strconv.Itoa(maxText)+" bytes, without zero bytes", "")
	}
	return text
}

// plain returns the value of a string, or what is wrong with it.
func plain(v strictjson.Value) (text, problem string) {
	if !v.IsString() {
		return "", describe(v)
	}
	if size := len(v.Raw()) - len(`""`); size > maxText {
		return "", fmt.Sprintf("a string of %d bytes", size)
	}
	if text = v.Text(); strings.IndexByte(text, 0) >= 0 {
		return "", "a zero byte"
	}
	return text, ""
}

// describe names a value for a finding.
func describe(v strictjson.Value) string {
	switch {
	case v.IsObject():
		return "an object"
	case v.IsArray():
		return "an array"
	case v.IsString():
		return fault.Text(v.Text())
	}
	return fault.Raw(v.Text())
}

// items reads an array; null is an empty one.
func (r *reader) items(v strictjson.Value, path string) []strictjson.Value {
	if v.IsNull() {
		return nil
	}
	if !v.IsArray() {
		r.fault(v, path, describe(v), "an array", "put it in [ ]")
		return nil
	}
	list, ok := v.Items(maxEntries)
	if !ok {
		r.fault(v, path, "more entries", fmt.Sprintf("at most %d", maxEntries), "")
	}
	return list
}

// texts reads an array of strings. Empty strings are refused: nobody means one.
func (r *reader) texts(v strictjson.Value, path string) []string {
	items := r.items(v, path)
	list := make([]string, 0, len(items))
	for i, item := range items {
		text, problem := plain(item)
		switch text = strings.TrimSpace(text); {
		case problem != "":
			r.string(item, fault.Item(path, i)) // says it
		case text == "":
			r.doubt(item, fault.Item(path, i), "an empty string", "an entry", "remove it")
		default:
			list = append(list, text)
		}
	}
	return list
}
