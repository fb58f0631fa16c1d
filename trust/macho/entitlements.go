package macho

import (
	"encoding/asn1"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// weakening are entitlements with which others get into the program, or it
// into them: what its signature says about its code is worth less then
// (Apple, "Hardened Runtime"; AMFI for the private ones).
func weakening() []string {
	return []string{
		"com.apple.private.cs.debugger",
		"com.apple.private.skip-library-validation",
		"com.apple.security.cs.allow-dyld-environment-variables",
		"com.apple.security.cs.allow-unsigned-executable-memory",
		"com.apple.security.cs.debugger",
		"com.apple.security.cs.disable-executable-page-protection",
		"com.apple.security.cs.disable-library-validation",
		"com.apple.security.get-task-allow",
		"com.apple.system-task-ports",
		"get-task-allow",
		"task_for_pid-allow",
	}
}

// entitlements is what a program may do beyond others.
type entitlements struct {
	values map[string]any // nil: not known
	weak   []string       // those of weakening that are granted, without duplicates
	fault  string         // why values is nil although there are some
}

// readEntitlements reads both forms. Older systems go by the XML, newer ones
// by the DER, so a weakening entitlement counts if either grants it, and if
// they differ nothing else is concluded from them.
func readEntitlements(text, der []byte) entitlements {
	var e entitlements
	var forms []map[string]any
	if text != nil {
		if values, err := parsePlist(text); err == nil {
			forms = append(forms, values)
		} else {
			e.fault = "the XML form cannot be read"
		}
	}
	if der != nil {
		if values, err := parseEntitlementsDER(der); err == nil {
			forms = append(forms, values)
		} else {
			e.fault = "the DER form cannot be read"
		}
	}
	for _, form := range forms {
		for _, name := range weakening() {
			if v, there := form[name]; there && v != false && !slices.Contains(e.weak, name) {
				e.weak = append(e.weak, name)
			}
		}
	}
	slices.Sort(e.weak)
	switch {
	case e.fault != "":
	case len(forms) == 2 && !reflect.DeepEqual(plain(forms[0]), plain(forms[1])):
		e.fault = "the XML and the DER form differ"
	case len(forms) == 0:
		e.values = map[string]any{}
	default:
		e.values = forms[len(forms)-1]
	}
	return e
}

// plain makes values of the two forms comparable: an XML integer is a string.
func plain(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for key, value := range v {
			out[key] = plain(value)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, value := range v {
			out[i] = plain(value)
		}
		return out
	case string:
		return strings.TrimSpace(v)
	}
	return v
}

// Tags of DER entitlements: [APPLICATION 16] { INTEGER 1, [16] { SEQUENCE {
// UTF8String key, value } ... } }, dictionaries being [16] too.
const (
	classApplication = 1
	classContext     = 2
	tagDictionary    = 16
)

func parseEntitlementsDER(der []byte) (map[string]any, error) {
	var outer asn1.RawValue
	if rest, err := asn1.Unmarshal(der, &outer); err != nil || len(rest) > 0 || len(der) > maxPlist ||
		outer.Class != classApplication || outer.Tag != tagDictionary || !outer.IsCompound {
		return nil, errPlist
	}
	var version int
	rest, err := asn1.Unmarshal(outer.Bytes, &version)
	if err != nil || version != 1 {
		return nil, errPlist
	}
	value, rest, err := derValue(rest, 0)
	found, ok := value.(map[string]any)
	if err != nil || len(rest) > 0 || !ok {
		return nil, errPlist
	}
	return found, nil
}

func derValue(der []byte, depth int) (value any, rest []byte, err error) {
	var raw asn1.RawValue
	if rest, err = asn1.Unmarshal(der, &raw); err != nil || depth > maxPlistDepth {
		return nil, nil, errPlist
	}
	switch {
	case raw.Class == classContext && raw.Tag == tagDictionary && raw.IsCompound:
		value, err = derDictionary(raw.Bytes, depth)
	case raw.Class != asn1.ClassUniversal:
		err = errPlist
	case raw.Tag == asn1.TagSequence:
		list := []any{}
		for in := raw.Bytes; len(in) > 0; {
			var v any
			if v, in, err = derValue(in, depth+1); err != nil {
				return nil, nil, err
			}
			list = append(list, v)
		}
		value = list
	case raw.Tag == asn1.TagBoolean:
		var b bool
		_, err = asn1.Unmarshal(raw.FullBytes, &b)
		value = b
	case raw.Tag == asn1.TagUTF8String:
		value = string(raw.Bytes)
	case raw.Tag == asn1.TagInteger:
		var n int64
		_, err = asn1.Unmarshal(raw.FullBytes, &n)
		value = strconv.FormatInt(n, 10)
	case raw.Tag == asn1.TagOctetString:
		value = raw.Bytes
	default:
		err = errPlist
	}
	return value, rest, err
}

func derDictionary(in []byte, depth int) (map[string]any, error) {
	found := map[string]any{}
	for len(in) > 0 {
		var pair asn1.RawValue
		var err error
		if in, err = asn1.Unmarshal(in, &pair); err != nil || pair.Class != asn1.ClassUniversal || pair.Tag != asn1.TagSequence {
			return nil, errPlist
		}
		if len(pair.Bytes) == 0 || pair.Bytes[0] != asn1.TagUTF8String {
			return nil, errPlist
		}
		key, rest, err := derValue(pair.Bytes, depth+1)
		name, _ := key.(string)
		if _, twice := found[name]; err != nil || twice {
			return nil, errPlist
		}
		if found[name], rest, err = derValue(rest, depth+1); err != nil || len(rest) > 0 {
			return nil, errPlist
		}
	}
	return found, nil
}
