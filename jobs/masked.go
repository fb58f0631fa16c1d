package jobs

import (
	"strings"
)

// mask hides what must not be kept or shown: the values of parameters that are secret,
// and those of names that say they are. It belongs to one run.
type mask struct {
	names  map[string]bool // lower case
	values []string
}

const (
	masked = "***"
	// shortest is the length of a secret below which its value is not looked for in
	// text: "1" as a password would blot out every 1.
	shortest = 4
)

func newMask(v *vars, parameters []parameter) *mask {
	m := &mask{names: map[string]bool{}}
	for _, p := range parameters {
		if p.secret {
			m.names[strings.ToLower(p.name)] = true
		}
	}
	for _, from := range v.layers() {
		m.learn(from)
	}
	return m
}

// learn remembers the secrets among values.
func (m *mask) learn(values map[string]any) {
	for name, value := range values {
		if !m.hides(name) {
			continue
		}
		if s, err := text(value); err == nil && len(s) >= shortest {
			m.values = append(m.values, s)
		}
	}
}

// hides reports whether the value of name is not shown.
func (m *mask) hides(name string) bool {
	name = strings.ToLower(name)
	if m.names[name] {
		return true
	}
	for _, word := range []string{"password", "passwd", "passphrase", "secret", "token", "apikey", "api_key", "credential", "privatekey", "authorization"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}

// text is s without the secrets in it.
func (m *mask) text(s string) string {
	for _, secret := range m.values {
		s = strings.ReplaceAll(s, secret, masked)
	}
	return s
}

// object is what of values may be shown. names spells them.
func (m *mask) object(values map[string]any, names map[string]string) map[string]any {
	if len(values) == 0 {
		return nil
	}
	shown := make(map[string]any, len(values))
	for name, value := range values {
		if spelled := names[name]; spelled != "" {
			name = spelled
		}
		shown[name] = m.value(name, value)
	}
	return shown
}

func (m *mask) value(name string, value any) any {
	if m.hides(name) {
		return masked
	}
	switch value := value.(type) {
	case string:
		return m.text(value)
	case map[string]any:
		shown := make(map[string]any, len(value))
		for key := range value {
			shown[key] = m.value(key, value[key])
		}
		return shown
	case []any:
		list := make([]any, len(value))
		for i := range value {
			list[i] = m.value("", value[i])
		}
		return list
	}
	return value
}
