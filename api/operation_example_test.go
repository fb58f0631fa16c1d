package api

import (
	"errors"
	"net/http"

	"kpm/core"
)

// Notes are a thing that the API does not have. The operations below are added
// by this file alone, and by the line that operations would have for it
// (CONTRIBUTING.md).
type Notes map[string]string

var errNoNote = core.NewError(core.NotFound, "there is no such note")

func noteOperations(notes Notes) group {
	return group{
		operations: []operation{{
			method: http.MethodPut, path: "/api/Notes/{note}", access: pluginTier,
			handle: func(c *call) (any, error) {
				var text struct{ Text string }
				if err := c.readObject(&text, false); err != nil {
					return nil, err
				}
				switch notes[c.values["note"]] {
				case "":
					return nil, errNoNote
				case "locked":
					return nil, core.NewError(core.Conflict, "the note is locked")
				case "broken":
					return nil, errors.New("disk on fire")
				case "busy":
					// Not among the documented problems below.
					return nil, core.NewError(core.Unavailable, "the note is busy")
				}
				notes[c.values["note"]] = text.Text
				return text, nil
			},
			id: "writeNote", summary: "Write a note",
			body:     &body{required: true, schema: ref("Note")},
			answer:   answer{status: http.StatusOK, description: "It is written", schema: ref("Note")},
			notFound: codeNotFound, problems: []int{http.StatusConflict, http.StatusInternalServerError},
		}},
		parameters: map[string]parameter{"note": {"A note's name", 64}},
		schemas: map[string]schema{
			"Note": `{
				"type": "object",
				"required": ["Text"],
				"properties": {"Text": {"type": "string"}},
				"additionalProperties": false
			}`,
		},
	}
}

// NewWithNotes is New of an API that has notes.
func NewWithNotes(cfg Config, notes Notes) (*Server, error) {
	return newServer(cfg, append(operations(cfg), noteOperations(notes))), nil
}
