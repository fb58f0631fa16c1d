package policy

import (
	"fmt"
	"slices"
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
	// twice are the known keys that were given more than once. Which of the
	// values was meant nobody knows.
	twice []string
	path  string
}

// get returns the value of a key; it is not Given if there is none, or more than
// one.
func (f fields) get(key string) strictjson.Value {
	for i := range f.known {
		if f.known[i].Key == key && !slices.Contains(f.twice, key) {
			return f.known[i].Value
		}
	}
	return strictjson.Value{}
}

// every returns all that was given for a key, slips included, null left out.
func (f fields) every(key string) []strictjson.Value {
	var list []strictjson.Value
	for _, members := range [][]strictjson.Member{f.known, f.slips} {
		for _, m := range members {
			if m.Key == key && !m.Value.IsNull() {
				list = append(list, m.Value)
			}
		}
	}
	return list
}

// filled is get, for those to whom null is as good as nothing.
func (f fields) filled(key string) (strictjson.Value, bool) {
	v := f.get(key)
	return v, v.Given() && !v.IsNull()
}

// object reads v as an object with the known keys.
func (r *reader) object(v strictjson.Value, path string, known []string) fields {
	list, ok := r.members(v, path)
	if !ok {
		return fields{path: path}
	}
	return r.collect(list, path, known)
}

// members returns what an object holds, until it is asked for those of the next one.
func (r *reader) members(v strictjson.Value, path string) ([]strictjson.Member, bool) {
	if !v.IsObject() {
		r.doubt(v, path, describe(v), "an object", "")
		return nil, false
	}
	list, ok := v.AppendMembers(r.room[:0], maxMembers)
	r.room = list
	if !ok {
		r.fault(v, path, "more keys", fmt.Sprintf("at most %d", maxMembers), "")
	}
	return list, ok
}

// collect sorts members under their known keys. A key that nobody knows may
// narrow what its author meant, and nobody knows how.
func (r *reader) collect(list []strictjson.Member, path string, known []string) fields {
	f := fields{known: make([]strictjson.Member, 0, len(list)), path: path}
	for _, m := range list {
		if k := find(known, m.Key, foldEqual); k != "" {
			if slices.ContainsFunc(f.known, func(other strictjson.Member) bool { return other.Key == k }) {
				r.doubt(m.Value, path+"."+k, "the key twice", "it once", "readers differ in which of the two they believe")
				f.twice = append(f.twice, k)
			}
			f.known = append(f.known, strictjson.Member{Key: k, Value: m.Value})
			continue
		}
		if k := find(known, m.Key, fault.OneSlip); k != "" {
			r.doubt(m.Value, fault.Key(path, m.Key), "an unknown key", k, "correct the spelling, or rename the key")
			f.slips = append(f.slips, strictjson.Member{Key: k, Value: m.Value})
			continue
		}
		found, expected, remedy := "an unknown key", "a documented one", remedyFor(m.Key)
		switch {
		case path == "$" && len(m.Key) > 5 && strings.EqualFold(m.Key[len(m.Key)-5:], "Check"), strings.HasPrefix(path, "$.Filters"): // there, everything is a filter
			found = "an unknown filter"
		case path == "$.Extension":
			found, expected, remedy = "a key of unknown effect", strings.Join(known, ", "), ""
		}
		r.doubt(m.Value, fault.Key(path, m.Key), found, expected, remedy)
	}
	return f
}

// remedyFor says where that belongs which people write under another key.
func remedyFor(key string) string {
	switch strings.ToLower(key) {
	case "runas", "runasuser", "runasusers", "targetuser", "targetusers", "target", "asuser":
		return "name the users whom a command may run as in TargetUserCheck"
	case "allowcommands", "commands", "allowedcommands":
		return "commands go into Extension.AllowCommands"
	case "arguments", "commandline":
		return "commands with their arguments go into Extension.AllowCommands"
	}
	return "remove it; remarks go into Description"
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
		r.doubt(v, path, problem, "a string of at most "+strconv.Itoa(maxText)+" bytes, without zero bytes", "")
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

// items reads an array; null is an empty one. It reports false if v is neither.
func (r *reader) items(v strictjson.Value, path string) ([]strictjson.Value, bool) {
	if v.IsNull() {
		return nil, true
	}
	if !v.IsArray() {
		r.doubt(v, path, describe(v), "an array", "put it in [ ]")
		return nil, false
	}
	list, ok := v.Items(maxEntries)
	if !ok {
		r.doubt(v, path, "more entries", fmt.Sprintf("at most %d", maxEntries), "")
	}
	return list, ok
}

// texts reads an array of strings, and reports false if anything in it cannot be
// read. Empty strings are refused: nobody means one.
func (r *reader) texts(v strictjson.Value, path string) ([]string, bool) {
	items, whole := r.items(v, path)
	list := make([]string, 0, len(items))
	for i, item := range items {
		text, problem := plain(item)
		switch text = strings.TrimSpace(text); {
		case problem != "":
			r.string(item, fault.Item(path, i)) // says it
			whole = false
		case text == "":
			r.doubt(item, fault.Item(path, i), "an empty string", "an entry", "remove it")
			whole = false
		default:
			list = append(list, text)
		}
	}
	return list, whole
}

// narrow is texts for a filter: what cannot be read whole narrows nothing, as
// what the rest leaves out may be what was meant. nil then.
func (r *reader) narrow(v strictjson.Value, path string) ([]string, bool) {
	list, whole := r.texts(v, path)
	if !whole {
		return nil, false
	}
	return list, true
}
