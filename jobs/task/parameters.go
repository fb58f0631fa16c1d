package task

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"kpm/core"
	"kpm/core/fault"
	"kpm/core/strictjson"
	"kpm/settings"
)

// form is what the parameters of a built-in command are called.
type form struct {
	// words are those that the words of "arguments" are: the last takes the rest.
	words []string
	// others are given by name alone. Names are read in any letter case.
	others []string
	// objects may be JSON written as text.
	objects []string
	// supplied are those that the run knows, where the task does not give them.
	supplied []string
	// verbatim leaves names as they are written.
	verbatim bool
}

// formOf is the form of command. One without a form gets its parameters as they are
// written, and its arguments as a list.
func formOf(command string) (form, bool) {
	switch command {
	case "echo":
		return form{words: []string{"Message"}, verbatim: true}, true
	case "log-message":
		return form{words: []string{"Message"}, others: []string{"Level"}}, true
	case "display-message", "show-toast":
		return form{words: []string{"Message"}, others: []string{"Title", "UserName", "SessionId"}, supplied: []string{"UserName", "SessionId"}}, true
	case "publish-mqtt":
		return form{words: []string{"Topic", "Payload"}, others: []string{"MessageType", "EventName", "Context"}, objects: []string{"Payload", "Context"}}, true
	case "check-approval-provider":
		return form{}, true
	case "prompt-mfa", "prompt-justification", "await-approval":
		return form{words: []string{"ControlList"}, supplied: []string{"ControlList"}}, true
	}
	return form{}, false
}

// spelled is a parameter's name as the command knows it.
func (f form) spelled(name string) string {
	for _, known := range slices.Concat(f.words, f.others) {
		if !f.verbatim && strings.EqualFold(name, known) {
			return known
		}
	}
	return name
}

// parameter is one that is given as text.
type parameter struct {
	name string
	text settings.Template
	kind parameterKind
}

type parameterKind int

const (
	asText   parameterKind = iota
	asObject               // JSON, if it is some
	asList                 // one of several under its name
	asExcess               // the command has no such parameter
)

// given is parameter name with text as its value.
func (f form) given(name string, text settings.Template) parameter {
	parts := text.Parts()
	// Of a text that begins with a token, only a value that is all of it is read as JSON.
	if slices.Contains(f.objects, name) && (len(parts) == 1 || len(parts) > 0 && parts[0].Token == "") {
		return parameter{name: name, text: text, kind: asObject}
	}
	return parameter{name: name, text: text}
}

// written returns "parameters", an object, with their names as command knows them, but
// for those that are JSON written as text.
func written(command string, parameters strictjson.Value) (rest []byte, texts []parameter) {
	f, _ := formOf(command)
	if f.words == nil {
		return parameters.Raw(), nil
	}
	fields, _ := parameters.Members(math.MaxInt)
	asWritten, kept := true, make(map[string]json.RawMessage, len(fields))
	for _, field := range fields {
		name := f.spelled(field.Key)
		asWritten = asWritten && name == field.Key
		if slices.Contains(f.objects, name) && field.Value.IsString() {
			// One token alone stays a text: what it says is the value's and not the file's.
			text := field.Value.Text()
			if t := settings.ParseTemplate(text); strings.HasPrefix(text, "{") && t.Parts()[0].Token == "" {
				texts, asWritten = append(texts, f.given(name, t)), false
				continue
			}
		}
		kept[name] = field.Value.Raw()
	}
	if asWritten {
		return parameters.Raw(), texts
	}
	rest, _ = json.Marshal(kept) // it was JSON before
	return rest, texts
}

// spread says which parameters arguments are, before a token in them is filled in.
// Attack: a value that says --Topic=EventMessages.
func spread(command string, arguments []settings.Template) (texts []parameter) {
	f, known := formOf(command)
	var rest []settings.Template
	for _, text := range arguments {
		name, value, isNamed := named(text)
		switch {
		case !known:
			texts = append(texts, parameter{name: "arguments", text: text, kind: asList})
		case isNamed:
			texts = append(texts, f.given(f.spelled(name), value))
		default:
			rest = append(rest, text)
		}
	}
	for i, name := range f.words {
		if len(rest) == 0 {
			break
		}
		value := rest[0]
		if rest = rest[1:]; i == len(f.words)-1 {
			for _, more := range rest {
				value = settings.NewTemplate(slices.Concat(value.Parts(), []settings.Part{{Literal: " "}}, more.Parts())...)
			}
			rest = nil
		}
		texts = append(texts, f.given(name, value))
	}
	for _, text := range rest {
		texts = append(texts, parameter{text: text, kind: asExcess})
	}
	return texts
}

// named takes --Name=value apart.
func named(text settings.Template) (name string, value settings.Template, ok bool) {
	parts := text.Parts()
	if len(parts) == 0 || !strings.HasPrefix(parts[0].Literal, "--") {
		return "", value, false
	}
	name, literal, ok := strings.Cut(parts[0].Literal[2:], "=")
	if !ok || !core.ValidName(name) {
		return "", value, false
	}
	parts = parts[1:]
	if literal != "" || len(parts) == 0 {
		parts = slices.Concat([]settings.Part{{Literal: literal}}, parts)
	}
	return name, settings.NewTemplate(parts...), true
}

// fill puts p into params as it is in r.
func (p parameter) fill(r Run, params map[string]any) error {
	if p.kind == asObject {
		text, err := jsonText(p.text, r)
		if err != nil {
			return err
		}
		var value map[string]any
		if json.Unmarshal([]byte(text), &value) == nil && value != nil {
			params[p.name] = value
			return nil
		}
	}
	text, err := p.text.Expand(Argument(r))
	switch {
	case err != nil:
		return err
	case p.kind == asExcess:
		return fmt.Errorf("arguments: %s is one word too many", fault.Quote(text))
	case p.kind == asList:
		list, _ := params[p.name].([]string)
		params[p.name] = append(list, text)
	default:
		params[p.name] = text
	}
	return nil
}

// jsonText fills in text that is JSON. Each value is one value there: inside quotes it
// stays inside them, and elsewhere it is a number, a list or the like if it reads as one,
// else a text. Attack: a file called a"},"EventName":"Other, which a job reports.
func jsonText(text settings.Template, r Run) (string, error) {
	if len(text.Parts()) == 1 {
		return text.Expand(Argument(r))
	}
	var b strings.Builder
	quoted, escaped := false, false
	for _, part := range text.Parts() {
		for _, c := range part.Literal {
			if c == '"' && !escaped {
				quoted = !quoted
			}
			escaped = quoted && c == '\\' && !escaped
		}
		b.WriteString(part.Literal)
		if part.Token == "" {
			continue
		}
		if escaped { // it would take the value's own first backslash for its partner
			return "", nil
		}
		value, err := r.Value(part.Token)
		if err != nil {
			return "", err
		}
		if quoted || !json.Valid([]byte(value)) {
			data, err := json.Marshal(value)
			if err != nil {
				return "", err
			}
			value = string(data)
			if quoted {
				value = value[1 : len(value)-1]
			}
		}
		b.WriteString(value)
	}
	return b.String(), nil
}

// masked is a copy of value whose texts are without the run's secrets.
func masked(r Run, value any) any {
	switch v := value.(type) {
	case string:
		return r.Masked(v)
	case map[string]any:
		all := make(map[string]any, len(v))
		for name, inner := range v {
			all[r.Masked(name)] = masked(r, inner)
		}
		return all
	case []any:
		list := make([]any, len(v))
		for i, inner := range v {
			list[i] = masked(r, inner)
		}
		return list
	}
	return value
}
