package strictjson

import (
	"bytes"
	"encoding"
	"encoding/json"
	"math"
	"reflect"
	"strconv"
	"strings"
	"sync"
)

// shapes are what is known about types, *shape by reflect.Type, as encoding/json keeps
// what it knows of them.
var shapes sync.Map

// shape is what is known about a type.
type shape struct {
	own    bool // it is not filled here
	raw    bool // json.RawMessage
	fields []field
}

// field is one field of a struct, by the name that a text gives it.
type field struct {
	name  string
	index int
}

// fill reads v into a variable as encoding/json does, without looking again whether the
// text is JSON. It reports false if v does not fit, or if the variable is of a type that
// none of our files is read into: then encoding/json is to do it, whatever has been
// filled until then.
func fill(v Value, into reflect.Value) bool {
	known := shapeOf(into.Type())
	switch {
	case known.own:
		return false
	case known.raw:
		into.SetBytes(bytes.Clone(v.Raw()))
		return true
	case v.IsNull():
		switch into.Kind() {
		case reflect.Pointer, reflect.Map, reflect.Slice, reflect.Interface:
			into.SetZero()
		}
		return true
	}
	switch into.Kind() {
	case reflect.String:
		if !v.IsString() {
			return false
		}
		into.SetString(v.Text())
		return true
	case reflect.Bool:
		if !v.IsBool() {
			return false
		}
		into.SetBool(v.text.data[v.start] == 't')
		return true
	case reflect.Struct:
		return v.IsObject() && fillStruct(v, into, known.fields)
	case reflect.Slice:
		return v.IsArray() && fillSlice(v, into)
	case reflect.Map:
		return v.IsObject() && fillMap(v, into)
	case reflect.Pointer:
		if into.IsNil() {
			into.Set(reflect.New(into.Type().Elem()))
		}
		return fill(v, into.Elem())
	case reflect.Interface:
		return fillAny(v, into)
	}
	return v.IsNumber() && fillNumber(v, into)
}

func fillStruct(v Value, into reflect.Value, fields []field) bool {
	for key, value := range v.members() {
		i := find(fields, key)
		if i < 0 {
			continue
		}
		if !fill(value, into.Field(fields[i].index)) {
			return false
		}
	}
	return true
}

// find returns which field a key means: the one that is called so, or else the first
// that is in another letter case; -1 if there is none.
func find(fields []field, key Value) int {
	name := keyOf(key.Raw())
	for i := range fields {
		if fields[i].name == string(name) {
			return i
		}
	}
	for i := range fields {
		if strings.EqualFold(fields[i].name, string(name)) {
			return i
		}
	}
	return -1
}

func fillSlice(v Value, into reflect.Value) bool {
	if into.Cap() > 0 {
		return false // encoding/json lays items over what was there
	}
	items, _ := v.Items(math.MaxInt)
	list := reflect.MakeSlice(into.Type(), len(items), len(items))
	for i, item := range items {
		if !fill(item, list.Index(i)) {
			return false
		}
	}
	into.Set(list)
	return true
}

func fillMap(v Value, into reflect.Value) bool {
	if into.IsNil() {
		into.Set(reflect.MakeMap(into.Type()))
	}
	for key, value := range v.members() {
		one := reflect.New(into.Type().Elem()).Elem()
		if !fill(value, one) {
			return false
		}
		into.SetMapIndex(reflect.ValueOf(key.Text()), one)
	}
	return true
}

// fillAny fills a variable of type any that holds nothing.
func fillAny(v Value, into reflect.Value) bool {
	if !into.IsNil() {
		return false
	}
	one, ok := v.any()
	if ok {
		into.Set(reflect.ValueOf(one))
	}
	return ok
}

// any is what encoding/json makes of v where it is told nothing; nil is no value of it.
func (v Value) any() (any, bool) {
	switch {
	case v.IsNull():
		return nil, true
	case v.IsString():
		return v.Text(), true
	case v.IsBool():
		return v.text.data[v.start] == 't', true
	case v.IsArray():
		list := []any{}
		for item := range v.items() {
			one, ok := item.any()
			if !ok {
				return nil, false
			}
			list = append(list, one)
		}
		return list, true
	case v.IsObject():
		all := map[string]any{}
		for key, value := range v.members() {
			one, ok := value.any()
			if !ok {
				return nil, false
			}
			all[key.Text()] = one
		}
		return all, true
	}
	number, err := strconv.ParseFloat(string(v.Raw()), 64)
	return number, err == nil
}

func fillNumber(v Value, into reflect.Value) bool {
	text := string(v.Raw())
	switch into.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || into.OverflowInt(n) {
			return false
		}
		into.SetInt(n)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil || into.OverflowUint(n) {
			return false
		}
		into.SetUint(n)
	case reflect.Float64:
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return false
		}
		into.SetFloat(n)
	default:
		return false
	}
	return true
}

func shapeOf(t reflect.Type) *shape {
	if s, ok := shapes.Load(t); ok {
		return s.(*shape)
	}
	s := newShape(t)
	shapes.Store(t, s)
	return s
}

func newShape(t reflect.Type) *shape {
	switch {
	case t == reflect.TypeFor[json.RawMessage]():
		return &shape{raw: true}
	case t == reflect.TypeFor[json.Number](), reads(t), t.Kind() != reflect.Pointer && reads(reflect.PointerTo(t)):
		return &shape{own: true}
	}
	switch t.Kind() {
	case reflect.Slice:
		return &shape{own: t.Elem().Kind() == reflect.Uint8} // text, in base64
	case reflect.Map:
		return &shape{own: t.Key() != reflect.TypeFor[string]()}
	case reflect.Interface:
		return &shape{own: t != reflect.TypeFor[any]()}
	case reflect.Struct:
		fields, ok := fieldsOf(t)
		return &shape{own: !ok, fields: fields}
	}
	return &shape{}
}

// reads reports whether values of t read JSON themselves.
func reads(t reflect.Type) bool {
	return t.Implements(reflect.TypeFor[json.Unmarshaler]()) || t.Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// fieldsOf returns the fields of a struct that encoding/json reads. It reports false
// where that depends on more than their names.
func fieldsOf(t reflect.Type) (fields []field, ok bool) {
	for i := range t.NumField() {
		one := t.Field(i)
		tag := one.Tag.Get("json")
		name, options, _ := strings.Cut(tag, ",")
		switch {
		case one.Anonymous, strings.Contains(options, "string"), strings.ContainsFunc(name, notPlain):
			return nil, false
		case !one.IsExported(), tag == "-":
			continue
		case name == "":
			name = one.Name
		}
		for _, other := range fields {
			if other.name == name {
				return nil, false // encoding/json reads neither
			}
		}
		fields = append(fields, field{name, i})
	}
	return fields, true
}

// notPlain reports whether a tag with such a letter may not be a name.
func notPlain(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("_-./$", r)
}
