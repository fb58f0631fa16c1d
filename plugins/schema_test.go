package plugins

import (
	"io/fs"
	"testing"

	"kpm/docs/schemas/schematest"
	"kpm/plugins/defaults"
)

func TestSchema(t *testing.T) {
	const dir = "../docs/schemas"
	schematest.Hold(t, dir, "plugin", "Plugin file", "Plugins/{id}.json of the agent root.", schematest.Of(manifestFile{}))
	names, err := fs.Glob(defaults.Files, "*.json")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		data, err := fs.ReadFile(defaults.Files, name)
		if err != nil {
			t.Fatal(err)
		}
		schematest.Accept(t, dir, "plugin", name, string(data))
	}
	schematest.Accept(t, dir, "plugin", "a test's", manifest("A", supervised))
	schematest.Refuse(t, dir, "plugin", "without an id", `{"pluginType": "Executable", "supportedPlatforms": ["Linux"], "metadata": {"mqttTopics": {"publish": [], "subscribe": []}}}`)
}
