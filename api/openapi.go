package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// documentOperations serve the document itself.
func documentOperations() group {
	return group{operations: []operation{{
		method: http.MethodGet, path: "/openapi.json", access: anyone,
		handle: func(c *call) (any, error) { return c.document() },
		id:     "document", summary: "This document",
		answer: answer{status: http.StatusOK, description: "This document", schema: `{"type": "object"}`},
	}}}
}

// openAPI returns groups as one OpenAPI 3.1 document (decision 15).
func openAPI(groups []group) (json.RawMessage, error) {
	paths := map[string]object{}
	parameters, schemas, used := object{}, object{"Problem": problemSchema(), "Tier": tierSchema}, map[int]bool{}
	for _, g := range groups {
		for name, p := range g.parameters {
			parameters[name] = p.document(name)
		}
		for name, s := range g.schemas {
			schemas[name] = s
		}
	}
	for _, g := range groups {
		for _, o := range g.operations {
			document, err := o.document()
			if err != nil {
				return nil, fmt.Errorf("%s %s: %w", o.method, o.path, err)
			}
			if paths[o.path] == nil {
				paths[o.path] = object{}
			}
			paths[o.path][strings.ToLower(o.method)] = document
			for _, status := range o.statuses() {
				used[status] = true
			}
		}
	}
	return encode(struct {
		OpenAPI    string            `json:"openapi"`
		Info       object            `json:"info"`
		Servers    []object          `json:"servers"`
		Paths      map[string]object `json:"paths"`
		Components object            `json:"components"`
	}{
		OpenAPI: "3.1.0",
		Info: object{
			"title": serviceName + " local API", "version": "1", "description": description,
			"license": object{"name": "Apache-2.0", "identifier": "Apache-2.0"},
		},
		Servers:    []object{{"url": "https://127.0.0.1:6889"}},
		Paths:      paths,
		Components: object{"parameters": parameters, "schemas": schemas, "responses": usedResponses(used)},
	})
}

// operationObject is an operation in the document, in the order in which people
// read it.
type operationObject struct {
	ID          string   `json:"operationId"`
	Summary     string   `json:"summary"`
	Description string   `json:"description,omitempty"`
	Tier        string   `json:"x-tier"`
	Parameters  []schema `json:"parameters,omitempty"`
	RequestBody object   `json:"requestBody,omitempty"`
	Responses   object   `json:"responses"`
}

func (o operation) document() (operationObject, error) {
	document := operationObject{
		ID: o.id, Summary: o.summary, Description: o.description, Tier: o.access.name,
		Responses: object{strconv.Itoa(o.answer.status): object{"description": o.answer.description, "content": content(o.answer.content(), o.answer.schema)}},
	}
	if other := o.instead; other != nil {
		document.Responses[strconv.Itoa(other.status)] = object{"description": other.description, "content": content(jsonType, other.schema)}
	}
	for _, name := range o.names() {
		document.Parameters = append(document.Parameters, schema(fmt.Sprintf(`{"$ref": "#/components/parameters/%s"}`, name)))
	}
	for _, q := range o.query {
		parameter, err := encode(object{"name": q.name, "in": "query", "required": false, "description": q.description, "schema": q.schema})
		if err != nil {
			return document, err
		}
		document.Parameters = append(document.Parameters, schema(parameter))
	}
	if o.body != nil {
		document.RequestBody = object{"required": o.body.required, "content": content(jsonType, o.body.schema)}
	}
	for _, status := range o.statuses() {
		name, err := responseName(status)
		if err != nil {
			return document, err
		}
		document.Responses[strconv.Itoa(status)] = object{"$ref": "#/components/responses/" + name}
	}
	return document, nil
}

// content is the content type of a.
func (a answer) content() string {
	if a.contentType == "" {
		return jsonType
	}
	return a.contentType
}

func (p parameter) document(name string) object {
	return object{
		"name": name, "in": "path", "required": true, "description": p.description,
		"schema": object{"type": "string", "minLength": 1, "maxLength": p.maxLength},
	}
}

// usedResponses returns the problems with these statuses.
func usedResponses(statuses map[int]bool) object {
	all := object{}
	for _, r := range responses {
		if !statuses[r.status] {
			continue
		}
		var names []code
		for _, row := range codes {
			if row.status == r.status {
				names = append(names, row.code)
			}
		}
		response := object{"description": r.description, "content": content(problemType, schema(fmt.Sprintf(
			`{"allOf": [%s, {"type": "object", "properties": {"code": {"enum": %s}}}]}`, ref("Problem"), encoded(names))))}
		if r.headers != "" {
			response["headers"] = r.headers
		}
		all[r.name] = response
	}
	return all
}
