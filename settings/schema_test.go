package settings

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"kpm/docs/schemas/schematest"
)

// TestSchema: what each setting is for is said in docs/settings.md alone.
func TestSchema(t *testing.T) {
	meanings := map[string]string{}
	for _, row := range documented(t, "# Settings") {
		meanings[plain(row[0])] = plain(row[3])
	}
	file := schematest.Object()
	for _, e := range entries() {
		section, key, _ := strings.Cut(e.key, ":")
		if _, given := file.Properties.Get(section); !given {
			file.Properties.Set(section, schematest.Object())
		}
		in, _ := file.Properties.Get(section)
		in.Properties.Set(key, schemaOf(t, e, meanings[e.key]))
	}
	const dir = "../docs/schemas"
	schematest.Hold(t, dir, "appsettings", "Application settings", "appsettings.json of the agent root.", file)
	schematest.Accept(t, dir, "appsettings", "the example", `{"Settings": {"KestrelHttpPort": 0, "AlternativeSignatures": []}, "Trust": {"Plugins": {"Linux": "warn"}}, "Other": 1}`)
	schematest.Refuse(t, dir, "appsettings", "out of range", `{"PluginMonitoring": {"BreakerLimit": 0}}`)
}

func schemaOf(t *testing.T, e entry, meaning string) *schematest.Schema {
	s := &schematest.Schema{Description: meaning}
	if meaning == "" {
		t.Errorf("%s: docs/settings.md does not say what it is for", e.key)
	}
	if err := json.Unmarshal([]byte(e.fallback), &s.Default); err != nil {
		t.Fatal(err)
	}
	switch s.Default.(type) {
	case bool:
		s.Type = "boolean"
	case string:
		s.Type = "string"
		if words := strings.Split(e.allowed, ", "); len(words) > 1 {
			for _, word := range words {
				s.Enum = append(s.Enum, word)
			}
		}
	case float64:
		s.Type = "integer"
		bounds := regexp.MustCompile(`(\d+)-(\d+)$`).FindStringSubmatch(e.allowed)
		s.Minimum, s.Maximum = json.Number(bounds[1]), json.Number(bounds[2])
		if strings.HasPrefix(e.allowed, "0, ") {
			s.Minimum = "0"
		}
	case []any:
		s.Type, s.Items = "array", &schematest.Schema{Type: "string"}
	default: // one value, or one for each OS
		s.Description += ": " + e.allowed
	}
	return s
}
