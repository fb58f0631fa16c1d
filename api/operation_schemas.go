package api

import (
	"encoding/json"
	"io/fs"
	"net/http"

	"kpm/docs/schemas"
)

// schemaOperations serve the JSON Schemas of the files that people write, for
// their editors.
func schemaOperations() group {
	return group{
		operations: []operation{{
			method: http.MethodGet, path: "/schemas/{schema}", access: anyone,
			handle: func(c *call) (any, error) {
				data, err := fs.ReadFile(schemas.Files, c.values["schema"])
				if err != nil { // not there, or no name of a file
					return nil, problem(codeNotFound, "there is no schema %q: plugin, job, policy and appsettings have one, called {kind}.schema.json", c.values["schema"])
				}
				return json.RawMessage(data), nil
			},
			id: "schema", summary: "JSON Schema of a kind of file",
			description: "`plugin.schema.json`, `job.schema.json`, `policy.schema.json` and `appsettings.schema.json`. Files may name one as `$schema`.",
			answer:      answer{status: http.StatusOK, description: "The schema", schema: `{"type": "object"}`},
			notFound:    codeNotFound,
		}},
		parameters: map[string]parameter{"schema": {"The name of a schema, {kind}.schema.json", 256}},
	}
}
