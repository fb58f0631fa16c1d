package settings

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"kpm/core/fault"
	"kpm/core/strictjson"
)

// Sections are all settings in a as appsettings.json would have them, defaults
// filled in.
func (a App) Sections() map[string]map[string]json.RawMessage {
	all := map[string]map[string]json.RawMessage{}
	for _, e := range entries() {
		section, key, _ := strings.Cut(e.key, ":")
		if all[section] == nil {
			all[section] = map[string]json.RawMessage{}
		}
		all[section][key] = json.RawMessage(a.raw(e))
	}
	return all
}

// Edit returns the text of an appsettings.json, which may be nil, with some
// settings changed: those of changes that say something else than a. null takes a
// setting out of the file. Whatever else the file has, it keeps, in its order. A
// key that nothing reads is a fault of changes; the result is not checked.
func (a App) Edit(file []byte, changes Document) ([]byte, error) {
	wanted, err := sections(changes)
	if err != nil {
		return nil, err
	}
	root := pairs{}
	if len(bytes.TrimSpace(file)) > 0 {
		if err := root.read(file); err != nil {
			return nil, err
		}
	}
	for _, e := range entries() {
		v, given := wanted[strictjson.Fold(e.key)]
		delete(wanted, strictjson.Fold(e.key))
		if !given || !v.IsNull() && alike(v.Raw(), []byte(a.raw(e))) {
			continue
		}
		if err := root.set(e.key, v.Raw()); err != nil {
			return nil, err
		}
	}
	var faults fault.List
	for _, v := range wanted {
		faults = append(faults, changes.faultAt(v.Value, v.name, "a setting that nothing reads", "one of docs/settings.md"))
	}
	if err := faults.Err(); err != nil {
		return nil, err
	}
	var text bytes.Buffer
	if err := json.Indent(&text, root.text(), "", "  "); err != nil {
		return nil, fmt.Errorf("settings: %w", err)
	}
	text.WriteByte('\n')
	return text.Bytes(), nil
}

func alike(a, b []byte) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}

// pairs is a JSON object in its order.
type pairs []struct {
	key   string
	value json.RawMessage
}

// read takes an object that strictjson has found sound.
func (p *pairs) read(text []byte) error {
	dec := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(text, []byte("\ufeff"))))
	if token, err := dec.Token(); err != nil || token != json.Delim('{') {
		return fmt.Errorf("settings: the file does not hold a JSON object: %w", err)
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return fmt.Errorf("settings: %w", err)
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return fmt.Errorf("settings: %w", err)
		}
		*p = append(*p, struct {
			key   string
			value json.RawMessage
		}{key.(string), value})
	}
	return nil
}

func (p pairs) find(key string) int {
	for i := range p {
		if strings.EqualFold(p[i].key, key) {
			return i
		}
	}
	return -1
}

func (p *pairs) put(key string, value json.RawMessage) {
	i := p.find(key)
	switch gone := string(value) == "null"; {
	case i >= 0 && gone:
		*p = append((*p)[:i], (*p)[i+1:]...)
	case i >= 0:
		(*p)[i].value = value
	case !gone:
		*p = append(*p, struct {
			key   string
			value json.RawMessage
		}{key, value})
	}
}

// set changes "Section:Key", in whichever of its two forms the file has it.
func (p *pairs) set(key string, value json.RawMessage) error {
	if p.find(key) >= 0 {
		p.put(key, value)
		return nil
	}
	section, name, _ := strings.Cut(key, ":")
	var inner pairs
	if i := p.find(section); i >= 0 && string((*p)[i].value) != "null" {
		if err := inner.read((*p)[i].value); err != nil {
			return err
		}
	}
	inner.put(name, value)
	p.put(section, inner.text())
	return nil
}

func (p pairs) text() []byte {
	var b bytes.Buffer
	b.WriteByte('{')
	for i := range p {
		if i > 0 {
			b.WriteByte(',')
		}
		key, _ := json.Marshal(p[i].key) // of a string
		b.Write(key)
		b.WriteByte(':')
		b.Write(p[i].value)
	}
	b.WriteByte('}')
	return b.Bytes()
}

// Said is one setting of appsettings.json.
type Said struct {
	Key   string          `json:"key"` // "Section:Key"
	Value json.RawMessage `json:"value"`
	// Given: the file says so; else it is the default.
	Given bool `json:"given"`
	// Live is what the setting is called among those that can be changed while the
	// service runs; empty if it takes a restart.
	Live string `json:"live,omitempty"`
}

// Said returns every setting, in the order of docs/settings.md.
func (a App) Said() []Said {
	var all []Said
	for _, e := range entries() {
		_, given := a.given[e.key]
		s := Said{Key: e.key, Value: json.RawMessage(a.raw(e)), Given: given}
		if slices.Contains(live, e.key) {
			s.Live = liveName(e.key)
		}
		all = append(all, s)
	}
	return all
}
